-- Every request asks for another path: nothing that was decided for one serves the next.
local number = 0

function request()
    number = number + 1
    return wrk.format(nil, wrk.path .. "/" .. number)
end
