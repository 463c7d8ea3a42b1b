-- wrk's part of a load of sends: each request is a new message of its own.
-- Arguments: the path, a bearer token (or "-"), a word that no other run has.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")
local path, headers, word
local number = 0

function init(arguments)
  path, word = arguments[1], arguments[3]
  headers = { ["Content-Type"] = "application/json" }
  if arguments[2] ~= "-" then
    headers["Authorization"] = "Bearer " .. arguments[2]
  end
end

function request()
  number = number + 1
  return wrk.format("POST", path, headers,
    string.format('{"client_id":"%s-%d","content":"hello there, all of you"}', word, number))
end
