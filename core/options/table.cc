// SPDX-License-Identifier: MIT
#include "options/table.h"

namespace tidegate {

// clang-format off
constexpr std::array<OptionRow, kOptionCount> kOptionTable{{
    {.name = "timeout_ms", .type = OptionType::kInteger, .range = "", .initial = "100",
     .meaning = "the deadline of a check",
     .least = 1, .most = 3'600'000, .integer = &Options::timeout_ms},
    {.name = "connect_timeout_ms", .type = OptionType::kInteger, .range = "", .initial = "1000",
     .meaning = "the deadline of a connect, its TLS handshake and login included",
     .least = 1, .most = 3'600'000, .integer = &Options::connect_timeout_ms},
    {.name = "namespace", .type = OptionType::kWord, .range = "1 to 64 of A-Z a-z 0-9 _ . -", .initial = "tg",
     .meaning = "the first word of every key in the store", .text = &Options::name_space},
    {.name = "on_failure", .type = OptionType::kPolicy, .range = "local, open or closed", .initial = "local",
     .meaning = "who answers while the store cannot: this process, everything passes, nothing passes"},
    {.name = "fallback_share", .type = OptionType::kInteger, .range = "", .initial = "1",
     .meaning = "how many processes share a limit while the store is away",
     .least = 1, .most = 1'000'000, .integer = &Options::fallback_share},
    {.name = "breaker_failures", .type = OptionType::kInteger, .range = "", .initial = "5",
     .meaning = "failed round trips in a row after which the store is left alone for a while",
     .least = 1, .most = 1'000'000, .integer = &Options::breaker_failures},
    {.name = "tls_ca", .type = OptionType::kPath, .range = "a path of at most 4095 bytes", .initial = "",
     .meaning = "PEM file of the authorities to trust; empty: the system's", .text = &Options::tls_ca},
    {.name = "tls_cert", .type = OptionType::kPath, .range = "a path of at most 4095 bytes", .initial = "",
     .meaning = "PEM file of the client's certificate; needs tls_key", .text = &Options::tls_cert},
    {.name = "tls_key", .type = OptionType::kPath, .range = "a path of at most 4095 bytes", .initial = "",
     .meaning = "PEM file of the client's private key; needs tls_cert", .text = &Options::tls_key},
    {.name = "tls_verify", .type = OptionType::kBoolean, .range = "true or false", .initial = "true",
     .meaning = "whether the server's certificate and host name are checked", .boolean = &Options::tls_verify},
    {.name = "spin_us", .type = OptionType::kInteger, .range = "", .initial = "50",
     .meaning = "how long a blocking caller looks for its answer before it sleeps; 0: not at all",
     .least = 0, .most = 1'000'000, .integer = &Options::spin_us},
    {.name = "max_keys", .type = OptionType::kInteger, .range = "", .initial = "1000000",
     .meaning = "embedded store: states kept at most",
     .least = 1, .most = 1'000'000'000, .integer = &Options::max_keys},
    {.name = "max_bytes", .type = OptionType::kInteger, .range = "", .initial = "268435456",
     .meaning = "embedded store: memory of states at most",
     .least = 1'024, .most = int64_t{1} << 40, .integer = &Options::max_bytes},
    {.name = "ipv6_prefix", .type = OptionType::kInteger, .range = "", .initial = "64",
     .meaning = "bits of an IPv6 address that make a caller; 128: each address for itself",
     .least = 1, .most = 128, .integer = &Options::ipv6_prefix},
    {.name = "trusted_proxies", .type = OptionType::kProxies, .range = "a count from 0 to 255, or networks such as 10.0.0.0/8,::1/128",
     .initial = "0", .meaning = "how much of X-Forwarded-For to believe, from the right"},
    {.name = "clock", .type = OptionType::kClock, .range = "system or manual", .initial = "system",
     .meaning = "manual: time is what tg_client_set_time says; on a server only with testing=1",
     .boolean = &Options::manual_clock},
    {.name = "testing", .type = OptionType::kBoolean, .range = "true or false", .initial = "false",
     .meaning = "allows what only tests may do", .boolean = &Options::testing},
    {.name = "read_bytes", .type = OptionType::kInteger, .range = "", .initial = "16384",
     .meaning = "testing=1 only: reads the socket in pieces of so many bytes",
     .least = 1, .most = 16'384, .integer = &Options::read_bytes},
}};
// clang-format on

static_assert(kOptionCount <= 64, "Options::given has a bit for each");

}  // namespace tidegate
