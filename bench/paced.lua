-- As reads.lua, but each connection pauses between two reads. Third argument: milliseconds.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "reads.lua")
local whole, pause = init, 0
function init(args)
  whole(args)
  pause = tonumber(args[3])
end
function delay() return pause end
