// SPDX-License-Identifier: MIT
#include "uv_poll.h"

#include <dlfcn.h>

#include <cstdlib>

namespace tidegate::node {
namespace {

template <class F>
void look_up(F& function, const char* name) {
  function = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
}

UvPoll look_up_all() {
  UvPoll uv;
  if (std::getenv("TIDEGATE_NODE_PUMP_THREAD")) return uv;
  look_up(uv.init, "uv_poll_init");
  look_up(uv.start, "uv_poll_start");
  look_up(uv.close, "uv_close");
  look_up(uv.ref, "uv_ref");
  look_up(uv.unref, "uv_unref");
  look_up(uv.handle_size, "uv_handle_size");
  look_up(uv.set_data, "uv_handle_set_data");
  look_up(uv.get_data, "uv_handle_get_data");
  return uv;
}

}  // namespace

const UvPoll& UvPoll::host() {
  static const UvPoll uv = look_up_all();
  return uv;
}

}  // namespace tidegate::node
