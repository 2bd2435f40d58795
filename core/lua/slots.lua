-- SPDX-License-Identifier: MIT
-- The fifth algorithm of limiter.lua, which says what its functions do; inserted there at build time.
--
-- Slots: their sum, then each holder's until, id and slots, by until; 25 bytes each. Making a
-- string of Lua takes a nanosecond a byte, so a state is read in pieces of whole holders (upto[j]:
-- how many with the j-th), and most of them are written as they were read.
-- The values are one table: first..last are the live holders, used their slots; index, own and
-- held whose id it is that was asked for: which holder, until when, how many slots (0: none).
function algorithms.c()
  local self = {}
  local find, sub, call = string.find, string.sub, redis.call
  local NOBODY = string.rep('\0', 16)
  local HEAD, PIECE = 15, 125  -- holders in the first piece, and in others

  local function add(state, piece)
    if piece == '' then return end
    local n = #state
    if n > 0 and #state[n] + #piece < 1000 then
      state[n] = state[n] .. piece
    else
      n = n + 1
      state[n] = piece
    end
    state.upto[n] = (state.upto[n - 1] or 0) + #state[n] / 25
  end
  -- The piece of holder i, and where in it he begins.
  local function place(state, i)
    local upto, j = state.upto, 1
    while i > upto[j] do j = j + 1 end
    return state[j], 25 * (i - (upto[j - 1] or 0)) - 24, j
  end
  local function until_of(state, i)
    local piece, from = place(state, i)
    return (read('>I7', piece, from))
  end
  local function slots_of(state, i)
    local piece, from = place(state, i)
    return (read('>I2', piece, from + 23))
  end
  -- Where every holder has one slot, which is so wherever there are many, nothing is added up.
  local function sum_of(state, low, high)
    if state.sum == state.count then return high - low + 1 end
    local sum = 0
    for i = low, high do sum = sum + slots_of(state, i) end
    return sum
  end
  -- Adds the holders low..high of another state.
  local function copy(out, state, low, high)
    while low <= high do
      local piece, from, j = place(state, low)
      local upto = min(state.upto[j], high)
      local size = 25 * (upto - low + 1)
      add(out, size == #piece and piece or sub(piece, from, from + size - 1))
      low = upto + 1
    end
  end
  -- The first holder who leaves after `time`.
  local function after(state, time)
    local low, high = 1, state.count + 1
    while low < high do
      local middle = floor((low + high) / 2)
      if until_of(state, middle) > time then high = middle else low = middle + 1 end
    end
    return low
  end
  -- '': there is none; nil: it is no state of ours.
  local function stored(key)
    local bytes = redis.pcall('GETRANGE', key, '0', '376')
    if type(bytes) ~= 'string' then
      if string.find(bytes.err, 'WRONGTYPE', 1, true) then return nil end
      bytes = call('GETRANGE', key, '0', '376')  -- says why not
    end
    if bytes == '' then return '' end
    if #bytes < 27 then return nil end
    local state = { upto = {}, sum = read('>I2', bytes) }
    local size, got = #bytes, 25 * HEAD + 2
    add(state, sub(bytes, 3))
    while #bytes == got and size <= 25 * MAX_SLOTS do
      got = 25 * PIECE
      bytes = call('GETRANGE', key, size, size + got - 1)
      size = size + #bytes
      add(state, bytes)
    end
    local count = (size - 2) / 25
    state.count = count
    if count % 1 ~= 0 or count > MAX_SLOTS or state.sum > MAX_SLOTS or state.sum < count
       or until_of(state, 1) > until_of(state, count)
       or until_of(state, count) >= 2 * EXACT then
      return nil
    end
    return state
  end
  -- Who is dated further ahead than a lease and MAX_SKEW gets a lease from now on, and leaves
  -- before those who are dated later than that.
  local function redated(state, lease)
    local later, far = after(state, now + lease), after(state, now + lease + MAX_SKEW)
    local out = { upto = {}, sum = state.sum, count = state.count }
    copy(out, state, 1, later - 1)
    for i = far, state.count do
      local piece, from = place(state, i)
      add(out, write('>I7', now + lease) .. sub(piece, from + 7, from + 24))
    end
    copy(out, state, later, far - 1)
    return out
  end
  local function index_of(state, id, first)
    for j = 1, #state do
      local piece = state[j]
      local found = find(piece, id, 8, true)
      while found and found % 25 ~= 8 do found = find(piece, id, found + 1, true) end
      if found then
        local i = (state.upto[j - 1] or 0) + (found + 17) / 25
        if i >= first then return i end
      end
    end
  end

  function self.load(limit, state, id, k)
    local view = { first = 1, last = 0, used = 0, own = 0, held = 0, id = id }
    if not state then
      state = stored(KEYS[k])
      if not state then return nil end
      values[k] = state
    end
    if state == '' then return view, 0, 0, false end
    local last = until_of(state, state.count)
    local far = last - now > limit.window + MAX_SKEW
    if far then
      state = redated(state, limit.window)
      last = until_of(state, state.count)
    end
    view.state, view.last = state, state.count
    if last <= now then
      view.first = state.count + 1
    else
      if until_of(state, 1) <= now then view.first = after(state, now) end
      local first, count = view.first, state.count
      if 2 * first <= count then
        view.used = state.sum - sum_of(state, 1, first - 1)
      else
        view.used = sum_of(state, first, count)
      end
      if view.used < count - first + 1 then return nil end
      view.index = id ~= NOBODY and index_of(state, id, first) or nil
      if view.index then
        view.own, view.held = until_of(state, view.index), slots_of(state, view.index)
      end
    end
    return view, 0, 0, far
  end
  function self.room(_, top, view) return max(0, top - view.used) end
  function self.give(_, _, view)  -- all of them, whatever cost is named
    view.used, view.own, view.held = view.used - view.held, 0, 0
    return view, 0, 0
  end
  function self.put(limit, tokens, view)
    local state, first, last, index = view.state, view.first, view.last, view.index
    local out, own, held = { upto = {} }, view.own, view.held
    local function others(low, high)
      if index and low <= index and index <= high then
        copy(out, state, low, index - 1)
        low = index + 1
      end
      copy(out, state, low, high)
    end
    if tokens > 0 then
      if own == 0 then held = tokens end
      own = max(own, now + limit.window)
      -- Only where the clock stepped back is anybody dated later than a new lease.
      local where = last
      while where >= first and (where == index or until_of(state, where) > own) do
        where = where - 1
      end
      others(first, where)
      add(out, write('>I7c16I2', own, view.id, held))
      others(where + 1, last)
      out.sum = view.used - view.held + held
    else
      if own > 0 then index = nil end  -- he stays where he is
      others(first, last)
      out.sum = view.used
    end
    if #out == 0 then return '', 0 end
    out.count = out.upto[#out]
    return out, until_of(out, out.count) - now
  end
  -- What the others hold, when the first and the last of them leaves; until when he who asks holds
  -- how many; and when the cost fits if nobody gives back early.
  function self.seen(limit, _, cost, _, view)
    local state, first, last, index = view.state, view.first, view.last, view.index
    local over, fit = view.used + cost - limit.limit, 0
    if not index and cost <= limit.capacity and over > 0 then
      local i
      if state.sum == state.count then
        i = first + over - 1
      elseif 2 * over <= view.used then
        i = first
        over = over - slots_of(state, i)
        while over > 0 and i < last do
          i = i + 1
          over = over - slots_of(state, i)
        end
      else
        local left, slots = view.used, slots_of(state, last)
        i = last
        while i > first and left - slots >= over do
          left, i = left - slots, i - 1
          slots = slots_of(state, i)
        end
      end
      fit = until_of(state, i)
    end
    if index == first then first = first + 1 elseif index == last then last = last - 1 end
    local some = first <= last
    return write('>I2I7I7I7I2I7', view.used - view.held, some and until_of(state, first) or 0,
                 some and until_of(state, last) or 0, view.own, view.held, fit)
  end
  return self
end
