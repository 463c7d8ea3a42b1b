-- wrk's part of a load: requests made before the run from one template, each with a number in the place of {key}.
-- Arguments: the path's template, how many keys there are, a bearer token (or "-").
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "report.lua")
local requests = {}
local next_one = 0

function init(arguments)
  local template, key_count, token = arguments[1], tonumber(arguments[2]), arguments[3]
  local headers = {}
  if token ~= "-" then
    headers["Authorization"] = "Bearer " .. token
  end
  for number = 0, 999 do
    local path = template:gsub("{key}", tostring(number * 7919 % key_count + 1))
    requests[number] = wrk.format("GET", path, headers)
  end
end

function request()
  next_one = (next_one + 1) % 1000
  return requests[next_one]
end
