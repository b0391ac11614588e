-- SPDX-License-Identifier: Apache-2.0
-- decide_case.lua: one of the policy cases by its REST API, kept alive.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.body = os.getenv("BODY")
wrk.path = os.getenv("CASE")
