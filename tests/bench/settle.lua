-- SPDX-License-Identifier: Apache-2.0
-- Connections first, requests SETTLE seconds later: a thousand handshakes are a figure of their own.
local began = os.time()
function delay()
    local left = began + tonumber(os.getenv("SETTLE")) - os.time()
    return left > 0 and left * 1000 or 0
end
