-- SPDX-License-Identifier: Apache-2.0
-- decide.lua: one decision of the policy engine by its REST API, kept alive.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.body = '{"input":{"user":"alice"}}'
wrk.path = "/v1/data/bench/allow"
