-- SPDX-License-Identifier: Apache-2.0
-- A new policy document with each request: one durable row, indexed, audited.
local thread_count = 0
function setup(thread) thread:set("id", thread_count); thread_count = thread_count + 1 end
function init() n = 0; run = os.time() % 100000 end
function request()
    n = n + 1
    local body = string.format('{"title":"Measured policy %d-%d-%d","body":"%s"}', run, id, n, string.rep("x", 200))
    return wrk.format("POST", "/api/v1/policies",
                      {["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. os.getenv("TOKEN")}, body)
end
