-- Refuses JSON requests that do not say one thing: fields that the contract does not have (the transcoder would silently drop
-- them), a field named twice in whatever spelling, and in the query what the path holds already.
-- RULES { {method, path, type of the body or false, how often a query may name each field, whether the body is the request} } and
-- TYPES { type = { spelling = { field, type of its messages or true } } } are put before this text.

local DEEPEST = 100
-- What one request may cost: some 20 ms. What comes after in a long body is the transcoder's alone to check.
local STEPS = 20000
local steps

local function step()
  steps = steps + 1
  if steps > STEPS then error({ enough = true }) end
end

local function after_space(text, at)
  return string.find(text, "[^ \t\r\n]", at) or error("malformed")
end

-- Returns what a string at `at` holds, unescaped or not, and the place after it.
local function string_at(text, at)
  if string.sub(text, at, at) ~= '"' then error("malformed") end
  local from = at + 1
  while true do
    step()
    local found = string.find(text, '["\\]', from) or error("malformed")
    if string.sub(text, found, found) == '"' then return string.sub(text, at + 1, found - 1), found + 1 end
    from = found + 2
  end
end

-- A name may be written with escapes; those of ASCII are all that spell a field.
local function unescaped(name)
  return (string.gsub(name, "\\u00(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Walks over the value at `at`, whose objects are of `kind` (nil: any), and returns the place after it. What is 0 in `bound` may
-- not be a field of it.
local function walk(text, at, kind, depth, bound)
  step()
  if depth > DEEPEST then error("malformed") end
  at = after_space(text, at)
  local first = string.sub(text, at, at)
  if first == '"' then
    local _, next = string_at(text, at)
    return next
  end
  if first ~= "{" and first ~= "[" then
    return string.find(text, "[],} \t\r\n]", at) or #text + 1
  end
  local last = first == "{" and "}" or "]"
  local seen = {}
  at = after_space(text, at + 1)
  if string.sub(text, at, at) == last then return at + 1 end
  while true do
    local inner = kind
    if first == "{" then
      local name
      name, at = string_at(text, after_space(text, at))
      name = unescaped(name)
      local field = kind and TYPES[kind][name]
      if kind and not field then error({ unknown = name }) end
      if field then
        if seen[field[1]] then error({ twice = field[1] }) end
        if bound and bound[field[1]] == 0 then error({ bound = field[1] }) end
        seen[field[1]] = true
      end
      inner = field and field[2] ~= true and field[2] or nil
      at = after_space(text, at)
      if string.sub(text, at, at) ~= ":" then error("malformed") end
      at = at + 1
    end
    at = after_space(text, walk(text, at, inner, depth + 1))
    local separator = string.sub(text, at, at)
    if separator == last then return at + 1 end
    if separator ~= "," then error("malformed") end
    at = at + 1
  end
end

local function rule_of(method, path)
  for _, rule in ipairs(RULES) do
    if rule[1] == method and string.find(path, rule[2]) then return rule end
  end
end

local function decoded(text)
  text = string.gsub(text, "+", " ")
  return (string.gsub(text, "%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function snake(name)
  return (string.gsub(name, "%u", function(letter) return "_" .. string.lower(letter) end))
end

-- Checks the query: `bound` says how often it may name a field.
local function check_query(query, bound)
  local spelled = {}
  for part in string.gmatch(query, "[^&]+") do
    step()
    local name = decoded(string.match(part, "^[^=]*"))
    local field = snake(name)
    local most = bound[string.match(field, "^[^.]*")]
    if most == 0 then error({ bound = field }) end
    if spelled[field] and (spelled[field] ~= name or most == 1 and not string.find(field, ".", 1, true)) then error({ twice = field }) end
    spelled[field] = name
  end
end

local function refusal(problem)
  if type(problem) ~= "table" then return nil end
  if problem.unknown then return "there is no field " .. string.sub(problem.unknown, 1, 100) end
  if problem.twice then return string.sub(problem.twice, 1, 100) .. " is given twice" end
  if problem.bound then return string.sub(problem.bound, 1, 100) .. " is given by the path" end
end

function envoy_on_request(request)
  local headers = request:headers()
  if string.find(headers:get("content-type") or "", "^application/grpc") then return end
  local path, query = string.match(headers:get(":path"), "^([^?]*)%??(.*)$")
  local rule = rule_of(headers:get(":method"), path)
  if not rule then return end
  steps = 0
  local fine, problem = pcall(check_query, query, rule[4])
  if fine and rule[3] then
    local body = request:body()
    -- What is not JSON at all is the transcoder's to refuse.
    if body then fine, problem = pcall(walk, body:getBytes(0, body:length()), 1, rule[3], 0, rule[5] and rule[4]) end
  end
  local message = not fine and refusal(problem)
  if message then request:respond({ [":status"] = "400" }, message) end
end
