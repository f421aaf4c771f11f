-- Audited reads with a random key and token each. Arguments: file of tokens, number of keys.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")
local tokens, keys = {}, 0
function init(args)
  for token in io.lines(args[1]) do tokens[#tokens + 1] = token end
  keys = tonumber(args[2])
end
function request()
  return "GET /v1/secret/data/bench/" .. math.random(keys)
    .. " HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: " .. tokens[math.random(#tokens)]
    .. "\r\n\r\n"
end
