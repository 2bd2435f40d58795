// SPDX-License-Identifier: MIT
#include "client/guard.h"

#include <algorithm>

#include "base/text.h"
#include "policy/texts.h"

namespace tidegate {
namespace {

LimiterSpec spec_of(const PolicyPart& part) {
  const PolicyNumbers& numbers = *part.numbers;
  return {.rates = numbers.rates,
          .name = numbers.limiter,
          .algorithm = numbers.algorithm,
          .mode = mode_name(part.mode),
          .on_failure = part.on_failure < 0
                            ? std::string_view()
                            : on_failure_name(static_cast<OnFailure>(part.on_failure)),
          .lease = numbers.lease};
}

Result<HeaderStyle> parse_style(std::string_view text) {
  if (text.empty()) return HeaderStyle{};
  HeaderStyle style{.standard = false, .legacy = false, .legacy_delta = false};
  if (text == "none") return style;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    bool* const member = word == "standard"       ? &style.standard
                         : word == "legacy"       ? &style.legacy
                         : word == "legacy-delta" ? &style.legacy_delta
                                                  : nullptr;
    if (!member)
      return Error{Code::kOption,
                   "headers " + quote(word) +
                       ": expected standard, legacy, legacy-delta, by commas, or none"};
    *member = true;
  }
  return style;
}

}  // namespace

std::string limiter_mark(const LimiterSpec& spec) {
  std::string mark;
  for (const std::string_view word :
       {spec.name, spec.rates, spec.algorithm, spec.mode, spec.on_failure, spec.lease})
    mark.append(word) += kMarkEnd;
  return mark;
}

Guard::Guard(const GuardContext& context, const Options& own)
    : limiters_(context.limiters),
      clock_(context.clock),
      counters_(context.counters),
      events_(context.events),
      trusted_(own.trusted_proxies),
      ipv6_prefix_(static_cast<int>(own.ipv6_prefix)) {}

Result<std::unique_ptr<Guard>> Guard::make(const GuardSpec& spec, const GuardContext& context) {
  Options own = context.options;
  if (!spec.trusted_proxies.empty())
    if (auto set = own.set("trusted_proxies", spec.trusted_proxies); !set) return set.error();
  if (spec.ipv6_prefix != 0)
    if (auto set = own.set("ipv6_prefix", std::to_string(spec.ipv6_prefix)); !set)
      return set.error();
  auto style = parse_style(spec.headers);
  if (!style) return style.error();
  std::unique_ptr<Guard> guard(new Guard(context, own));
  guard->style_ = *style;
  std::string text(spec.policy.empty() ? "version: 1" : spec.policy);
  if (!spec.file.empty()) {
    const MutexGuard held(guard->looking_);
    guard->file_.path = spec.file;
    auto read = guard->file_.read();
    if (!read) return read.error();
    text = std::move(*read);
  }
  if (auto taken = guard->replace(text); !taken)
    return spec.file.empty()
               ? taken.error()
               : Error{taken.error().code, std::string(spec.file) + ": " + taken.error().message};
  return guard;
}

Guard::~Guard() {
  const MutexGuard held(mutex_);
  for (const auto* map : {&bound_, &variants_})
    for (const auto& [name, bound] : *map) limiters_.give_back(bound.handle);
  for (const OfRates& made : of_rates_) limiters_.give_back(made.handle);
}

Status Guard::replace(std::string_view policy) {
  CompiledPolicy compiled = compile_policy(policy, ipv6_prefix_);
  if (!compiled.policy) return Error{Code::kPolicy, compiled.fault.text()};
  const MutexGuard held(mutex_);
  PolicyPtr live;
  if (current_ && current_->live) {  // what it says is said over the new file
    auto again = compile_live(live_text_, compiled.policy);
    if (!again.policy) return Error{Code::kPolicy, "the live document: " + again.fault.text()};
    live = std::move(again.policy);
  }
  return publish(std::move(compiled.policy), std::move(live));
}

Status Guard::set_live(std::string_view text) {
  const MutexGuard held(mutex_);
  CompiledPolicy compiled;
  if (!text.empty()) {
    compiled = compile_live(text, current_->file);
    if (!compiled.policy) return Error{Code::kPolicy, compiled.fault.text()};
  }
  auto published = publish(current_->file, std::move(compiled.policy));
  if (published) live_text_ = text;
  return published;
}

Result<std::string> Guard::edited(std::string_view live, std::string_view patch) const {
  PolicyPtr file;
  {
    const MutexGuard held(mutex_);
    file = current_->file;
  }
  auto said = merge_live("", patch);
  if (!said) return said.error();
  const CompiledPolicy alone = compile_live(*said, file);
  if (!alone.policy) return Error{Code::kPolicy, alone.fault.text()};
  if (!alone.policy->ignored().empty())
    return Error{Code::kPolicy, alone.policy->ignored().front() +
                                    ": the policy has no limiter or tier of that name"};
  auto merged = merge_live(live, patch);
  if (!merged) return merged.error();
  const CompiledPolicy whole = compile_live(*merged, file);
  if (!whole.policy) return Error{Code::kPolicy, whole.fault.text()};
  return merged;
}

void Guard::look_at_file() {
  const MutexGuard looking(looking_);
  if (file_.path.empty() || !file_.changed()) return;
  auto text = file_.read();
  Status taken = text ? replace(*text) : Status(text.error());
  if (taken) {
    events_.report(Level::kInfo, Code::kOk, "the policy of " + file_.path + " was taken over");
    return;
  }
  counters_.add(Counter::kPolicyFailures);
  const std::string at = text ? file_.path + ": " : std::string();
  events_.report(Level::kError, taken.error().code,
                 at + taken.error().message + "; the policy before it stays");
}

Status Guard::publish(PolicyPtr file, PolicyPtr live) {
  if (!current_ || current_->file != file)
    if (auto bound = bind_limiters(*file); !bound) return bound;
  ++published_;
  auto next = std::make_unique<const Documents>(Documents{std::move(file), std::move(live)});
  retired_.reserve(retired_.size() + 1);
  documents_.store(next.get(), std::memory_order_release);
  current_.swap(next);
  if (next) retired_.push_back({std::move(next), limiters_.visits().moment()});
  std::erase_if(retired_, [&](Retired& one) { return limiters_.visits().over(one.moment); });
  // What neither these documents nor the ones before them have used.
  std::erase_if(variants_, [this, published = published_](auto& entry) {
    const bool gone = entry.second.used + 2 < published;
    if (gone) limiters_.give_back(entry.second.handle);
    return gone;
  });
  return Nothing{};
}

// Opens what is new before anything is changed, so that a refusal changes nothing.
Status Guard::bind_limiters(const Policy& file) {
  std::unordered_map<std::string, Bound> next;
  std::vector<uint64_t> lent;
  const auto refuse = [&](const Error& why) -> Status {
    for (const uint64_t handle : lent) limiters_.give_back(handle);
    return why;
  };
  for (size_t i = 0; i < file.limiter_count(); ++i) {
    const PolicyPart part = file.limiter(i);
    const LimiterSpec spec = spec_of(part);
    Bound& bound = next[part.numbers->limiter];
    bound.spec = limiter_mark(spec);
    if (const auto known = bound_.find(part.numbers->limiter); known != bound_.end()) {
      bound.handle = known->second.handle;
      continue;
    }
    auto handle = limiters_.lend(spec);
    if (!handle) return refuse(handle.error());
    lent.push_back(*handle);
    bound.handle = *handle;
  }
  for (size_t i = 0; i < file.limiter_count(); ++i) {
    const PolicyPart part = file.limiter(i);
    Bound& bound = next[part.numbers->limiter];
    const auto known = bound_.find(part.numbers->limiter);
    if (known != bound_.end() && known->second.spec != bound.spec) {
      LimiterSpec spec = spec_of(part);
      spec.name = {};
      if (auto changed = limiters_.change(bound.handle, spec); !changed)
        return refuse(changed.error());
    }
    handle_of(part).store(bound.handle, std::memory_order_release);
  }
  for (const auto& [name, bound] : bound_)
    if (!next.contains(name)) limiters_.give_back(bound.handle);
  bound_.swap(next);
  return Nothing{};
}

Result<uint64_t> Guard::bind(const PolicyPart& part) const {
  const LimiterSpec spec = spec_of(part);
  const MutexGuard held(mutex_);
  const std::string mark = limiter_mark(spec);
  const auto base = bound_.find(part.numbers->limiter);
  uint64_t handle = base != bound_.end() && base->second.spec == mark ? base->second.handle : 0;
  if (!handle || !limiters_.find(handle)) {
    Bound& variant = variants_[mark];
    variant.used = published_;
    if (!limiters_.find(variant.handle)) {
      auto made = limiters_.lend_variant(spec);
      if (!made) return made.error();
      variant.handle = *made;
    }
    handle = variant.handle;
  }
  handle_of(part).store(handle, std::memory_order_release);
  return handle;
}

Result<uint64_t> Guards::open(const GuardSpec& spec) {
  auto made = Guard::make(spec, context_);
  if (!made) return made.error();
  const MutexGuard held(mutex_);
  if (!live_.empty()) tell(**made, live_);
  free_retired();
  if (guards_.size() == kMost)
    return Error{Code::kFull,
                 "this client has " + std::to_string(kMost) + " guards open: close some"};
  handles_.reserve();
  guards_.reserve(guards_.size() + 1);
  const uint64_t handle = handles_.add(made->get());
  guards_.emplace(handle, std::move(*made));
  return handle;
}

void Guards::tell(Guard& guard, std::string_view live) {
  if (auto taken = guard.set_live(live); !taken) {
    context_.counters.add(Counter::kPolicyFailures);
    context_.events.report(
        Level::kError, taken.error().code,
        "the live policy: " + taken.error().message + "; the one before it stays");
  }
}

void Guards::set_live(std::string_view live) {
  const MutexGuard held(mutex_);
  live_ = live;
  for (auto& [handle, guard] : guards_) tell(*guard, live);
}

void Guards::look_at_files() {
  const MutexGuard held(mutex_);
  for (auto& [handle, guard] : guards_) guard->look_at_file();
}

Result<std::string> Guards::edited(uint64_t handle, std::string_view live,
                                   std::string_view patch) const {
  const MutexGuard held(mutex_);
  Guard* const guard = this->held(handle);
  if (!guard) return no_such_guard();
  return guard->edited(live, patch);
}

Guard* Guards::held(uint64_t handle) const {
  const auto found = guards_.find(handle);
  return found == guards_.end() ? nullptr : found->second.get();
}

Status Guards::replace(uint64_t handle, std::string_view policy) {
  const MutexGuard held(mutex_);
  Guard* const guard = this->held(handle);
  if (!guard) return no_such_guard();
  return guard->replace(policy);
}

Status Guards::close(uint64_t handle) {
  const MutexGuard held(mutex_);
  const auto found = guards_.find(handle);
  if (found == guards_.end()) return no_such_guard();
  retired_.reserve(retired_.size() + 1);
  handles_.remove(handle);
  std::unique_ptr<Guard> gone = std::move(found->second);
  guards_.erase(found);
  retired_.push_back({std::move(gone), limiters_.visits().moment()});
  free_retired();
  return Nothing{};
}

void Guards::free_retired() {
  std::erase_if(retired_, [&](Retired& one) { return limiters_.visits().over(one.moment); });
}

Error Guards::no_such_guard() {
  return {Code::kHandle, "no such guard in this client: it was closed, or opened by another"};
}

}  // namespace tidegate
