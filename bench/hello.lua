-- The baseline: one path, no token.
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "report.lua")
