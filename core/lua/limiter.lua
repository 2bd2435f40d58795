-- SPDX-License-Identifier: MIT
-- The atomic program of tidegate: a batch of requests, decided and charged as if one after another.
--
-- KEYS     the states, each once. ARGV[1]: the batch, as core/store/valkey/program.h lays it out.
-- Answers  with what it saw: the time, and for each request how often it passed and the states before it.
--          Remaining tokens and waits are the core's to work out from that; here is only what fits, and the charge.
--
-- Numbers are doubles: every product of limits stays below 2^52 (model.py), and floor(a / b) of such is exact.
local read, write, floor, max, min = struct.unpack, struct.pack, math.floor, math.max, math.min
local MAX_SKEW = 1000000
local EXACT = 4503599627370496

local batch = ARGV[1]
local now, fixed_px, limit_count, at = read('>I7I7I1', batch)
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local limits = {}
for i = 1, limit_count do
  local letter, limit, capacity, ticks, tick
  letter, limit, capacity, ticks, tick, at = read('>c1I7I7I7I7', batch, at)
  limits[i] = { letter = letter, limit = limit, capacity = capacity, ticks = ticks, tick = tick,
                window = ticks * tick, now = floor(now / tick) }
end

-- values[k]: the state's bytes, '' where there is none; foreign[k]: it is no state of ours.
local values = redis.call('MGET', unpack(KEYS))
local foreign, changed = {}, {}
do
  local missing = {}
  for k = 1, #KEYS do
    if not values[k] then
      missing[#missing + 1] = KEYS[k]
      values[k] = ''
    end
  end
  if #missing > 0 and redis.call('EXISTS', unpack(missing)) > 0 then
    for k = 1, #KEYS do
      if values[k] == '' and redis.call('TYPE', KEYS[k]).ok ~= 'none' then foreign[k] = true end
    end
  end
end

-- For each algorithm: load() says how the state looks now (nil: no state of ours), room() what could be spent,
-- put() the bytes after a change and the wait after which nothing of it is left, seen() what the core is told.
local load, room, put, give, seen = {}, {}, {}, {}, {}

-- Token bucket: a debt in 1/ticks of a token, and the tick it was counted at.
function load.b(limit, value)
  local debt, stamp, far = 0, 0, false
  if value ~= '' then
    if #value ~= 14 then return nil end
    debt, stamp = read('>I7I7', value)
    if debt >= EXACT or stamp >= EXACT then return nil end
    debt = min(debt, limit.capacity * limit.ticks)
  end
  if stamp > limit.now then
    far = (stamp - limit.now) * limit.tick > MAX_SKEW
    if far then stamp = limit.now end
  else
    debt = max(0, debt - (limit.now - stamp) * limit.limit)
    stamp = limit.now
  end
  return { debt = debt, stamp = stamp, far = far }
end
function room.b(limit, state) return floor((limit.capacity * limit.ticks - state.debt) / limit.ticks) end
function give.b(limit, state, tokens) state.debt = max(0, state.debt - tokens * limit.ticks) end
function put.b(limit, state, tokens)
  state.debt = state.debt + tokens * limit.ticks
  local wait = state.stamp - limit.now + floor(state.debt / limit.limit) + 1
  return write('>I7I7', state.debt, state.stamp), wait * limit.tick
end
local ZERO14, ZERO21 = string.rep('\0', 14), string.rep('\0', 21)
function seen.b(_, value) return value == '' and ZERO14 or value end

-- Fixed window: a count, and when the window opened.
function load.f(limit, value)
  local count, start, far = 0, now, false
  if value ~= '' then
    if #value ~= 14 then return nil end
    count, start = read('>I7I7', value)
    if count >= EXACT or start >= EXACT then return nil end
    far = count > 0 and start - now > MAX_SKEW
    if count == 0 or now - start >= limit.window then count, start = 0, now end
    if far then start = now end
  end
  return { count = count, start = start, far = far }
end
function room.f(limit, state) return max(0, limit.limit - state.count) end
function give.f(_, state, tokens) state.count = max(0, state.count - tokens) end
function put.f(limit, state, tokens)
  state.count = state.count + tokens
  return write('>I7I7', state.count, state.start), state.start + limit.window - now
end
seen.f = seen.b

-- Sliding window: which clock-aligned window, the count of the one before it and its own.
function load.s(limit, value)
  local index, previous, current, far = 0, 0, 0, false
  if value ~= '' then
    if #value ~= 21 then return nil end
    index, previous, current = read('>I7I7I7', value)
    if index >= EXACT or previous >= EXACT or current >= EXACT then return nil end
  end
  local here = floor(limit.now / limit.ticks)
  local elapsed, ahead = limit.now - here * limit.ticks, 0
  far = index * limit.ticks - limit.now > MAX_SKEW / limit.tick
  if far then
    index = here
  elseif here < index then
    ahead, elapsed = index * limit.ticks - limit.now, 0
  elseif here > index then
    previous, current = here == index + 1 and current or 0, 0
    index = here
  end
  return { index = index, previous = previous, current = current, elapsed = elapsed, ahead = ahead,
           far = far }
end
function room.s(limit, state)
  local left = (limit.limit - state.current) * limit.ticks
               - state.previous * (limit.ticks - state.elapsed)
  return max(0, floor(left / limit.ticks))
end
function give.s(_, state, tokens)
  state.previous = max(0, state.previous - max(0, tokens - state.current))
  state.current = max(0, state.current - tokens)
end
function put.s(limit, state, tokens)
  state.current = state.current + tokens
  local wait = state.ahead + 2 * limit.ticks - state.elapsed
  return write('>I7I7I7', state.index, state.previous, state.current), wait * limit.tick
end
function seen.s(_, value) return value == '' and ZERO21 or value end

-- Sliding log: a base, then each charge's time and the sum of all charges up to it, so that finding one is a binary
-- search. state.first, state.last: the live entries.
local function entry(value, i) return read('>I7I7', value, 14 * i - 6) end
local function search(value, low, high, field, least)  -- the first of low..high whose field reaches least
  while low < high do
    local middle = floor((low + high) / 2)
    local time, total = entry(value, middle)
    if (field == 1 and time or total) >= least then high = middle else low = middle + 1 end
  end
  return low
end
function load.l(limit, value)
  local state = { value = value, first = 1, last = 0, base = 0, total = 0, clock = now, far = false }
  if value == '' then return state end
  if #value % 14 ~= 7 then return nil end
  state.base = read('>I7', value)
  state.total, state.last = state.base, (#value - 7) / 14
  if state.last == 0 then return state end
  local time
  time, state.total = entry(value, state.last)
  if time >= EXACT or state.total >= EXACT or state.total < state.base then return nil end
  state.time, state.clock = time, max(now, time)
  state.far = time - now > MAX_SKEW
  if state.far then
    state.clock = now
  elseif time <= state.clock - limit.window then
    state.first, state.base = state.last + 1, state.total
  else
    state.first = search(value, 1, state.last, 1, state.clock - limit.window + 1)
    if state.first > 1 then
      local _, before = entry(value, state.first - 1)
      state.base = before
    end
  end
  return state
end
function room.l(limit, state) return max(0, limit.limit - (state.total - state.base)) end
function give.l(_, state, tokens)  -- the newest charges first
  state.total = max(state.base, state.total - tokens)
  if state.far then return end
  while state.last >= state.first do
    local before = state.base
    if state.last > state.first then
      local _, sum = entry(state.value, state.last - 1)
      before = sum
    end
    if before < state.total then break end
    state.last = state.last - 1
  end
  if state.last >= state.first then state.time = entry(state.value, state.last) end
end
local function rebased(value, base)  -- sums grow for ever; long before they stop being exact they start anew
  local parts = { write('>I7', 0) }
  for i = 1, (#value - 7) / 14 do
    local time, total = entry(value, i)
    parts[i + 1] = write('>I7I7', time, total - base)
  end
  return table.concat(parts)
end
function put.l(limit, state, tokens)
  local total = state.total + tokens
  if state.far then
    return write('>I7I7I7', 0, now, total - state.base), limit.window
  end
  local live = state.last >= state.first
  local keep = state.last
  if live then keep = keep - 1 end  -- the last live entry is written anew: a refund may have cut it
  local value = write('>I7', state.base) .. string.sub(state.value, 14 * state.first - 6, 14 * keep + 7)
  if live and (tokens == 0 or state.time == state.clock) then
    value = value .. write('>I7I7', state.time, total)
  else
    if live then value = value .. write('>I7I7', state.time, state.total) end
    if tokens > 0 then value = value .. write('>I7I7', state.clock, total) end
  end
  if state.base > EXACT / 4 then value = rebased(value, state.base) end
  return value, state.clock + limit.window - now
end
-- The entries that the core's questions can meet: with how many tokens the log is over the limit now (and one
-- more), and when the request is asked once more than it passed.
function seen.l(limit, value, state, cost, passed)
  local used = state.total - state.base
  if used == 0 then return '\0' end
  if state.far then return '\1' .. write('>I7I7', state.time, used) end
  local out, count, before = {}, 0, -1
  local function add(sum)
    if sum < 1 or sum > used then return end
    local time, total = entry(value, search(value, state.first, state.last, 2, state.base + sum))
    if total - state.base <= before then return end
    before, count = total - state.base, count + 1
    out[count] = write('>I7I7', time, before)
  end
  add(max(1, used + 1 - limit.limit))
  add(used + (passed + 1) * cost - limit.limit)
  add(used)
  return write('>I1', count) .. table.concat(out)
end

-- How often a cost fits into what is left, at most `times`.
local function fits(limit, state, letter, cost, times)
  if cost == 0 then return times end
  if cost > limit.capacity then return 0 end
  return min(times, floor(room[letter](limit, state) / cost))
end

local function keep(k, value, wait)
  values[k] = value
  changed[k] = floor(wait / 1000) + 1
end

local answers = { write('>I7', now) }
local CONSUME, PEEK, REFUND = 1, 2, 3
while at <= #batch do
  local op, times, leg_count
  op, times, leg_count, at = read('>I1I4I1', batch, at)
  local legs, ours, passed = {}, true, times
  for i = 1, leg_count do
    local k, limit, shadow, cost
    k, limit, shadow, cost, at = read('>I1I1I1I7', batch, at)
    limit = limits[limit]
    local state = not foreign[k] and load[limit.letter](limit, values[k]) or nil
    if not state then ours = false end
    legs[i] = { k = k, limit = limit, shadow = shadow == 1, cost = cost, state = state,
                letter = limit.letter }
    if ours and op == CONSUME and shadow == 0 then
      passed = fits(limit, state, limit.letter, cost, passed)
    end
  end
  if not ours then
    answers[#answers + 1] = '\1'
  elseif op == CONSUME or op == PEEK then
    if op == PEEK then passed = 0 end
    answers[#answers + 1] = '\0' .. write('>I4', passed)
    for i = 1, leg_count do
      local leg = legs[i]
      local limit, state, letter, value = leg.limit, leg.state, leg.letter, values[leg.k]
      local charged = leg.shadow and op == CONSUME and fits(limit, state, letter, leg.cost, passed)
                      or passed
      answers[#answers + 1] = seen[letter](limit, value, state, leg.cost, charged)
      if op == CONSUME and (charged * leg.cost > 0 or state.far) then
        keep(leg.k, put[letter](limit, state, charged * leg.cost))
      end
    end
  else
    answers[#answers + 1] = '\0' .. write('>I4', 0)
    for i = 1, leg_count do
      local leg = legs[i]
      if op ~= REFUND then
        values[leg.k], changed[leg.k] = '', 0
      elseif values[leg.k] ~= '' then
        give[leg.letter](leg.limit, leg.state, times * leg.cost)
        keep(leg.k, put[leg.letter](leg.limit, leg.state, 0))
      end
    end
  end
end

for k, px in pairs(changed) do
  if values[k] == '' then
    redis.call('DEL', KEYS[k])
  else
    redis.call('SET', KEYS[k], values[k], 'PX', fixed_px > 0 and fixed_px or px)
  end
end
return table.concat(answers)
