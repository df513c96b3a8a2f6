-- Every request has a different path, so that cached decisions do not help.
local number = 0

function request()
    number = number + 1
    return wrk.format(nil, wrk.path .. "/" .. number)
end
