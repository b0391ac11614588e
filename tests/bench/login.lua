-- SPDX-License-Identifier: Apache-2.0
-- A login with each request: argon2id, an audit row, a signed token.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = string.format('{"email":"%s","password":"%s"}', os.getenv("EMAIL"), os.getenv("PASSWORD"))
