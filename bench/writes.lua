-- Durable writes of a new version of a random key. Arguments: file of tokens, number of keys.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")
local body = '{"data":{"user":"app","password":"0123456789abcdef0123456789abcdef"}}'
local tokens, keys = {}, 0
function init(args)
  for token in io.lines(args[1]) do tokens[#tokens + 1] = token end
  keys = tonumber(args[2])
end
function request()
  return "POST /v1/secret/data/bench/" .. math.random(keys)
    .. " HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: " .. tokens[math.random(#tokens)]
    .. "\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end
