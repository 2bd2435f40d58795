-- SPDX-License-Identifier: MIT
-- The atomic program of tidegate: a batch of requests, decided and charged as if one after another.
--
-- KEYS     the states, each once, those of slots last. ARGV[1]: the batch, as core/store/valkey/limiter_run.h lays it out.
-- Answers  with what it saw: the time, and for each request how often it passed and the states
--          before it. Remaining tokens and waits are the core's to work out from that; here is only
--          what fits, and the charge.
--
-- Numbers are doubles: every product of limits stays below 2^52 (model.py), and floor(a / b) of
-- such is exact.
local read, write, floor, max, min = struct.unpack, struct.pack, math.floor, math.max, math.min
local MAX_SKEW = 1000000
local EXACT = 4503599627370496
local MAX_SLOTS = 1000

local batch = ARGV[1]
local now, fixed_px, plain, limit_count, at = read('>I7I7I1I1', batch)
if now == 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- values[k]: the state's bytes, '' where there is none; foreign[k]: it is no state of ours. Those of
-- slots, behind the plain ones, are read when they are met.
local values, foreign, changed = {}, {}, {}
if plain > 0 then
  values = redis.call('MGET', unpack(KEYS, 1, plain))
  local missing = {}
  for k = 1, plain do
    if not values[k] then
      missing[#missing + 1] = KEYS[k]
      values[k] = ''
    end
  end
  if #missing > 0 and redis.call('EXISTS', unpack(missing)) > 0 then
    for k = 1, plain do
      if values[k] == '' and redis.call('TYPE', KEYS[k]).ok ~= 'none' then foreign[k] = true end
    end
  end
end

local limits = {}
for i = 1, limit_count do
  local letter, limit, capacity, bound, ticks, tick
  letter, limit, capacity, bound, ticks, tick, at = read('>c1I7I7I7I7I7', batch, at)
  limits[i] = { letter = letter, limit = limit, capacity = capacity, bound = bound, ticks = ticks,
                tick = tick, full = capacity * ticks, most = bound * ticks,
                now = floor(now / tick) }
end

local answers, answered = { write('>I7', now) }, 1
local CONSUME, PEEK, REFUND, DEBIT = 1, 2, 3, 6
local ONCE, NEVER, ZERO14 = '\0\0\0\0\1', '\0\0\0\0\0', string.rep('\0', 14)
local size = #batch

-- Nearly every request is one consume of one token bucket that is no shadow, or the debit that
-- settles it. Making functions is a good part of a small batch's cost, so those are answered in
-- place, as algorithms.b() would; the first that is anything else ends it, and the_rest() goes on
-- from there.
while at <= size do
  local op, times, count, k, l, shadow, cost, behind = read('>I1I4I1I1I1I1I7', batch, at)
  local limit, value = limits[l], values[k]
  if op ~= CONSUME and op ~= DEBIT or count ~= 1 or shadow == 1 or limit.letter ~= 'b'
     or foreign[k] then
    break
  end
  local tick, most, ticks = limit.now, limit.most, limit.ticks
  local debt, stamp = 0, tick
  if value ~= '' then
    if #value ~= 14 then break end
    debt, stamp = read('>I7I7', value)
    if debt >= EXACT or stamp >= EXACT or (stamp - tick) * limit.tick > MAX_SKEW then break end
    if debt > most then debt = most end
    if stamp < tick then
      debt = max(0, debt - (tick - stamp) * limit.limit)
      stamp = tick
    end
  end
  at = behind
  if op == DEBIT then
    cost = min(cost, floor((most - debt) / ticks))
  elseif cost > limit.capacity then
    times = 0
  elseif cost > 0 then  -- in debt: not even once
    times = min(times, max(0, floor(floor((limit.full - debt) / ticks) / cost)))
  end
  answers[answered + 1] = times == 1 and ONCE or times == 0 and NEVER or write('>I1I4', 0, times)
  answered = answered + 2
  answers[answered] = value == '' and ZERO14 or value
  if times * cost > 0 then
    debt = debt + times * cost * ticks
    values[k] = write('>I7I7', debt, stamp)
    changed[k] = floor((stamp - tick + floor(debt / limit.limit) + 1) * limit.tick / 1000) + 1
  end
end

local function the_rest()
  -- For each algorithm, a state as of now in three values a, b, c (nil: no state of ours): load()
  -- makes them of the bytes, and says whether the state's stamp is from before the clock stepped
  -- back. room() is what could be spent with so large a capacity (or bound). put() the bytes with so
  -- many tokens more, and the wait after which nothing of it is left. give() the values with so many
  -- tokens less. seen() what the core is told of the state. Made only where a limit of the batch has
  -- that algorithm: making functions is a good part of a small batch's cost.
  local ZERO21 = string.rep('\0', 21)
  local function seen14(_, value) return value == '' and ZERO14 or value end
  local algorithms = {}

  -- Token bucket: a debt in 1/ticks of a token, and the tick it was counted at.
  function algorithms.b()
    local self = {}
    function self.load(limit, value)
      local debt, stamp = 0, 0
      local tick = limit.now
      if value ~= '' then
        if #value ~= 14 then return nil end
        debt, stamp = read('>I7I7', value)
        if debt >= EXACT or stamp >= EXACT then return nil end
        if debt > limit.most then debt = limit.most end
        if stamp > tick then
          if (stamp - tick) * limit.tick > MAX_SKEW then return debt, tick, 0, true end
          return debt, stamp, 0, false
        end
        debt = debt - (tick - stamp) * limit.limit
        if debt < 0 then debt = 0 end
      end
      return debt, tick, 0, false
    end
    function self.room(limit, top, debt)
      return max(0, floor((top * limit.ticks - debt) / limit.ticks))
    end
    function self.give(limit, tokens, debt, stamp)
      return max(0, debt - tokens * limit.ticks), stamp, 0
    end
    function self.put(limit, tokens, debt, stamp)
      debt = debt + tokens * limit.ticks
      return write('>I7I7', debt, stamp),
             (stamp - limit.now + floor(debt / limit.limit) + 1) * limit.tick
    end
    self.seen = seen14
    return self
  end

  -- Fixed window: a count, and when the window opened.
  function algorithms.f()
    local self = {}
    function self.load(limit, value)
      if value == '' then return 0, now, 0, false end
      if #value ~= 14 then return nil end
      local count, start = read('>I7I7', value)
      if count >= EXACT or start >= EXACT then return nil end
      if count > 0 and start - now > MAX_SKEW then return count, now, 0, true end
      if count == 0 or now - start >= limit.window then return 0, now, 0, false end
      return count, start, 0, false
    end
    function self.room(_, top, count) return max(0, top - count) end
    function self.give(_, tokens, count, start) return max(0, count - tokens), start, 0 end
    function self.put(limit, tokens, count, start)
      return write('>I7I7', count + tokens, start), start + limit.window - now
    end
    self.seen = seen14
    return self
  end

  -- Sliding window: which clock-aligned window, the count of the one before it and its own. How far
  -- into the window the state's clock is follows from the index: a window that has not begun stands
  -- at its start.
  function algorithms.s()
    local self = {}
    function self.load(limit, value)
      local here = floor(limit.now / limit.ticks)
      if value == '' then return here, 0, 0, false end
      if #value ~= 21 then return nil end
      local index, previous, current = read('>I7I7I7', value)
      if index >= EXACT or previous >= EXACT or current >= EXACT then return nil end
      if here == index then return index, previous, current, false end
      if here < index then
        if index * limit.ticks - limit.now > MAX_SKEW / limit.tick then
          return here, previous, current, true
        end
        return index, previous, current, false
      end
      return here, here == index + 1 and current or 0, 0, false
    end
    local function left_of(limit, index)
      return min(limit.ticks, (index + 1) * limit.ticks - limit.now)
    end
    function self.room(limit, top, index, previous, current)
      local left = (top - current) * limit.ticks - previous * left_of(limit, index)
      return max(0, floor(left / limit.ticks))
    end
    function self.give(_, tokens, index, previous, current)
      return index, max(0, previous - max(0, tokens - current)), max(0, current - tokens)
    end
    function self.put(limit, tokens, index, previous, current)
      return write('>I7I7I7', index, previous, current + tokens),
             ((index + 2) * limit.ticks - limit.now) * limit.tick
    end
    function self.seen(_, value) return value == '' and ZERO21 or value end
    return self
  end

  -- Sliding log: a base, then each charge's time and the sum of all charges up to it, so that
  -- finding one is a binary search. The values are one table: first..last are the live entries,
  -- base and total the sums before and up to them.
  function algorithms.l()
    local self = {}
    local function entry(value, i) return read('>I7I7', value, 14 * i - 6) end
    local function total_of(value, i)
      local _, total = entry(value, i)
      return total
    end
    -- The first of low..high whose field reaches least.
    local function search(value, low, high, field, least)
      while low < high do
        local middle = floor((low + high) / 2)
        local time, total = entry(value, middle)
        if (field == 1 and time or total) >= least then high = middle else low = middle + 1 end
      end
      return low
    end
    function self.load(limit, value)
      local log = { value = value, first = 1, last = 0, base = 0, total = 0, clock = now }
      if value == '' then return log, 0, 0, false end
      if #value % 14 ~= 7 then return nil end
      log.base = read('>I7', value)
      log.total, log.last = log.base, (#value - 7) / 14
      if log.last == 0 then return log, 0, 0, false end
      log.time, log.total = entry(value, log.last)
      if log.time >= EXACT or log.total >= EXACT or log.total < log.base then return nil end
      log.far = log.time - now > MAX_SKEW
      if log.far then return log, 0, 0, true end
      log.clock = max(now, log.time)
      if log.time <= log.clock - limit.window then
        log.first, log.base = log.last + 1, log.total
      else
        log.first = search(value, 1, log.last, 1, log.clock - limit.window + 1)
        if log.first > 1 then log.base = total_of(value, log.first - 1) end
      end
      return log, 0, 0, false
    end
    function self.room(_, top, log) return max(0, top - (log.total - log.base)) end
    function self.give(_, tokens, log)  -- the newest charges first
      log.total = max(log.base, log.total - tokens)
      if log.far then return log, 0, 0 end
      while log.last >= log.first do
        local before = log.last > log.first and total_of(log.value, log.last - 1) or log.base
        if before < log.total then break end
        log.last = log.last - 1
      end
      if log.last >= log.first then log.time = entry(log.value, log.last) end
      return log, 0, 0
    end
    -- Sums grow for ever; long before they stop being exact they start anew.
    local function rebased(value, base)
      local parts = { write('>I7', 0) }
      for i = 1, (#value - 7) / 14 do
        local time, total = entry(value, i)
        parts[i + 1] = write('>I7I7', time, total - base)
      end
      return table.concat(parts)
    end
    function self.put(limit, tokens, log)
      local total = log.total + tokens
      if log.far then
        if total == log.base then return write('>I7', 0), limit.window end
        return write('>I7I7I7', 0, now, total - log.base), limit.window
      end
      local live = log.last >= log.first
      -- The last live entry is written anew: a refund may have cut it.
      local keep = live and log.last - 1 or log.last
      local value = write('>I7', log.base)
                    .. string.sub(log.value, 14 * log.first - 6, 14 * keep + 7)
      if live and (tokens == 0 or log.time == log.clock) then
        value = value .. write('>I7I7', log.time, total)
      else
        if live then value = value .. write('>I7I7', log.time, log.total) end
        if tokens > 0 then value = value .. write('>I7I7', log.clock, total) end
      end
      if log.base > EXACT / 4 then value = rebased(value, log.base) end
      return value, log.clock + limit.window - now
    end
    -- The entries that the core's questions can meet: with how many tokens the log is over the
    -- limit now (and one more), and when the request is asked once more than it passed, or a debit
    -- for one more than it took.
    function self.seen(limit, value, cost, passed, log)
      local used = log.total - log.base
      if used == 0 then return '\0' end
      if log.far then return '\1' .. write('>I7I7', log.time, used) end
      local out, count, before = {}, 0, 0
      local function add(sum)
        if sum < 1 or sum > used then return end
        local time, total = entry(value, search(value, log.first, log.last, 2, log.base + sum))
        if total - log.base <= before then return end
        before, count = total - log.base, count + 1
        out[count] = write('>I7I7', time, before)
      end
      add(max(1, used + 1 - limit.limit))
      add(used + (passed + 1) * cost - limit.limit)
      add(used)
      return write('>I1', count) .. table.concat(out)
    end
    return self
  end

  -- INSERT slots.lua

  local made = {}
  for i = 1, limit_count do
    local limit = limits[i]
    local self = made[limit.letter] or algorithms[limit.letter]()
    made[limit.letter] = self
    limit.load, limit.room, limit.give, limit.put = self.load, self.room, self.give, self.put
    limit.seen, limit.window = self.seen, limit.ticks * limit.tick
    limit.slots = limit.letter == 'c'
  end

  -- How often a cost fits into what is left, at most `times`.
  local function fits(limit, cost, times, a, b, c)
    if cost == 0 or limit.slots and a.index then return times end
    if cost > limit.capacity then return 0 end
    local left = limit.room(limit, limit.capacity, a, b, c)
    if times == 1 then return left >= cost and 1 or 0 end
    return min(times, floor(left / cost))
  end

  local function keep(k, value, wait)
    values[k] = value
    changed[k] = floor(wait / 1000) + 1
  end

  local function answer(bytes)
    answered = answered + 1
    answers[answered] = bytes
  end

  -- The legs of the request at hand, used again for the next: its keys, limits, shadows, costs,
  -- holders' ids, and states.
  local K, L, S, C, I, A, B, D, FAR = {}, {}, {}, {}, {}, {}, {}, {}, {}

  local function decide(op, times, count)
    local passed = op == CONSUME and times or 0
    if op == CONSUME then
      for i = 1, count do
        if S[i] == 0 then passed = fits(L[i], C[i], passed, A[i], B[i], D[i]) end
      end
    end
    answer(passed == 1 and ONCE or passed == 0 and NEVER or write('>I1I4', 0, passed))
    for i = 1, count do
      local k, limit, cost, a, b, c = K[i], L[i], C[i], A[i], B[i], D[i]
      local charged = passed
      if S[i] == 1 then charged = fits(limit, cost, passed, a, b, c) end
      answer(limit.seen(limit, values[k], cost, charged, a))
      if op == CONSUME and (charged * cost > 0 or FAR[i]) then
        keep(k, limit.put(limit, charged * cost, a, b, c))
      end
    end
  end

  local function debit(count)
    answer(ONCE)
    for i = 1, count do
      local k, limit, a, b, c = K[i], L[i], A[i], B[i], D[i]
      local taken = limit.slots and 0 or min(C[i], limit.room(limit, limit.bound, a, b, c))
      answer(limit.seen(limit, values[k], taken + 1, 0, a))
      if taken > 0 or FAR[i] then keep(k, limit.put(limit, taken, a, b, c)) end
    end
  end

  local function give_back(times, count)
    for i = 1, count do
      local k, limit = K[i], L[i]
      if values[k] ~= '' then
        -- A leg before this one may have been of the same slots, under another id.
        if limit.slots and i > 1 then A[i] = limit.load(limit, values[k], I[i]) end
        keep(k, limit.put(limit, 0,
                                  limit.give(limit, times * C[i], A[i], B[i], D[i])))
      end
    end
  end

  local function forget(count)
    for i = 1, count do values[K[i]], changed[K[i]] = '', 0 end
  end

  while at <= size do
    local op, times, count, k, limit
    op, times, count, k, limit, S[1], C[1], at = read('>I1I4I1I1I1I1I7', batch, at)
    local ours = true
    for i = 1, count do
      if i > 1 then k, limit, S[i], C[i], at = read('>I1I1I1I7', batch, at) end
      limit = limits[limit]
      K[i], L[i] = k, limit
      if limit.slots then I[i], at = read('c16', batch, at) end
      if foreign[k] then
        ours = false
      else
        A[i], B[i], D[i], FAR[i] = limit.load(limit, values[k], I[i], k)
        if not A[i] then ours = false end
      end
    end
    if not ours then
      answer('\1')
    elseif op == CONSUME or op == PEEK then
      decide(op, times, count)
    elseif op == DEBIT then
      debit(count)
    else
      answer(NEVER)
      if op == REFUND then give_back(times, count) else forget(count) end
    end
  end
end
if at <= size then the_rest() end

-- Expiry is rounded up by at most an eighth, so that a batch has few different ones: making a
-- number's text is slow.
local call, frexp, texts = redis.call, math.frexp, {}

-- With its expiry from the first piece on. A user who may not append is told so before anything is
-- cut.
local function put_pieces(key, state, px)
  local head = write('>I2', state.sum)
  local from = 1
  if #state == 1 or #state[1] < 1000 then head, from = head .. state[1], 2 end
  if from <= #state then call('APPEND', key, '') end
  call('SET', key, head, 'PX', px)
  for j = from, #state do call('APPEND', key, state[j]) end
end

for k, px in pairs(changed) do
  if values[k] == '' then
    call('DEL', KEYS[k])
  else
    if fixed_px > 0 then px = fixed_px end
    local _, bits = frexp(px)
    local step = bits > 4 and 2 ^ (bits - 4) or 1
    px = math.ceil(px / step) * step
    local text = texts[px]
    if not text then
      text = string.format('%.0f', px)
      texts[px] = text
    end
    if k > plain then
      put_pieces(KEYS[k], values[k], text)
    else
      call('SET', KEYS[k], values[k], 'PX', text)
    end
  end
end
return table.concat(answers)
