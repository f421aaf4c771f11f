-- Logins with name and password; argon2id is slow by design. Argument: number of users.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")
local body = '{"password":"correct horse battery staple"}'
local users = 1
function init(args)
  users = tonumber(args[1])
end
function request()
  return "POST /v1/auth/userpass/login/user" .. math.random(users)
    .. " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end
