// SPDX-License-Identifier: MIT
// A client's figures as text.
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

template <class Write>
int64_t put_figures(const tg_client* client, char* buffer, size_t size, Write write) {
  if (!client || (!buffer && size)) return TG_EINVAL;
  if (client->core->forked()) return TG_EFORK;
  return guard([&] {
    return put_text(write(client->core->read(), Build{TG_VERSION, TG_ABI}), buffer, size);
  });
}

}  // namespace

extern "C" {

int64_t tg_client_report(tg_client* client, char* buffer, size_t size) {
  return put_figures(client, buffer, size, report_json);
}

int64_t tg_client_metrics(tg_client* client, char* buffer, size_t size) {
  return put_figures(client, buffer, size, metrics_text);
}

}  // extern "C"
