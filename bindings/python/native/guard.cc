// SPDX-License-Identifier: MIT
#include "guard.h"

#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "attributes.h"
#include "client.h"
#include "decision.h"
#include "errors.h"
#include "request.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

tg_text text(const std::string& from) { return {from.data(), from.size()}; }

// The text that write(buffer, size, error) has, however long. It may wait for a store.
template <class Write>
std::string written(Write write) {
  std::string out(4'096, '\0');
  tg_error error{};
  for (;;) {
    const int64_t size = write(out.data(), out.size(), &error);
    if (size < 0) {
      if (error.code == size) throw_error(error);
      throw_error(static_cast<int32_t>(size));
    }
    const bool fits = static_cast<size_t>(size) < out.size();
    out.resize(static_cast<size_t>(size) + (fits ? 0 : 1));
    if (fits) return out;
  }
}

class Guard {
 public:
  Guard(py::object owner, std::string policy, std::string file, std::string headers,
        std::string trusted_proxies, int64_t ipv6_prefix)
      : owner_(std::move(owner)),
        client_(py::cast<Client*>(owner_)),
        policy_(std::move(policy)),
        file_(std::move(file)),
        headers_(std::move(headers)),
        trusted_proxies_(std::move(trusted_proxies)),
        ipv6_prefix_(ipv6_prefix) {
    if (client_->closed()) throw_error(TG_ECLOSED, "the gate is closed");
    try {
      handle();
    } catch (py::error_already_set&) {
      if (handle_status_ != TG_EFORK) throw;
      client_->reopen();
      handle();
    }
  }
  ~Guard() {
    if (generation_ == client_->generation() && !client_->closed())
      tg_guard_close(client_->get(), handle_);
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Of this process's opening of the client. Throws.
  uint64_t handle() {
    if (generation_ == client_->generation()) return handle_;
    const tg_guard_spec spec{text(policy_), text(file_), text(headers_), text(trusted_proxies_),
                             ipv6_prefix_};
    tg_error error{};
    handle_status_ = tg_guard_open(client_->get(), &spec, &handle_, &error);
    if (handle_status_ < 0) throw_error(error);
    generation_ = client_->generation();
    return handle_;
  }

  py::object check(py::handle attributes, py::handle after) {
    return ask(attributes, after, &Asker::sync);
  }
  py::object check_async(py::handle attributes, py::handle after) {
    return ask(attributes, after, &Asker::async);
  }

  void load(std::string policy) {
    again([&](uint64_t guard, tg_error* error) {
      return tg_guard_replace(client_->get(), guard, policy.data(), policy.size(), error);
    });
    policy_ = std::move(policy);
    file_.clear();
  }

  std::string explain(py::handle attributes) {
    std::string said;
    return written([&](char* buffer, size_t size, tg_error* why) {
      return again(
          [&](uint64_t guard, tg_error* error) {
            if (!read_attributes(client_, attributes.ptr(), said)) throw py::error_already_set();
            return waiting([&](tg_client* client) {
              return tg_guard_explain(client, guard, said.data(), said.size(), buffer, size, error);
            });
          },
          why);
    });
  }

  int64_t edit(const std::string& patch, const std::string& who, bool replace) {
    return again([&](uint64_t guard, tg_error* error) {
      return waiting([&](tg_client* client) {
        return tg_guard_edit(client, guard, replace ? TG_EDIT_REPLACE : 0, patch.data(),
                             patch.size(), who.data(), who.size(), error);
      });
    });
  }

 private:
  // After a fork the client is opened again, and asked once more.
  template <class Call>
  int64_t again(Call call, tg_error* given = nullptr) {
    tg_error own{};
    tg_error* const error = given ? given : &own;
    if (client_->closed()) throw_error(TG_ECLOSED, "the gate is closed");
    int64_t status = call(handle(), error);
    if (status == TG_EFORK) {
      client_->reopen();
      status = call(handle(), error);
    }
    if (client_->has_events()) client_->deliver_events();
    if (status >= 0 || given) return status;
    if (error->code == status) throw_error(*error);
    throw_error(static_cast<int32_t>(status));
  }

  template <class Work>
  int64_t waiting(Work work) {
    const Inside inside;
    return client_->wait_for(inside, work);
  }

  struct Said final : Rebind {  // after a fork limiters have other handles
    Guard* guard;
    py::handle attributes;
    std::string bytes;
    tg_entry entry{};

    bool bind() override {
      if (!read_attributes(guard->client_, attributes.ptr(), bytes)) return false;
      try {
        entry.handle = guard->handle();
      } catch (py::error_already_set& error) {
        error.restore();
        return false;
      }
      entry.value = bytes.data();
      entry.value_len = static_cast<uint32_t>(bytes.size());
      return true;
    }
  };

  py::object ask(py::handle attributes, py::handle after, PyObject* (Asker::*how)()) {
    Said said;
    said.guard = this;
    said.attributes = attributes;
    said.entry.op = TG_OP_CHECK;
    const Answer* const before = answer_of(after.ptr(), client_);
    if (before && !before->scope.empty()) {
      said.entry.key = before->scope.data();
      said.entry.key_len = static_cast<uint32_t>(before->scope.size());
    }
    Asker asker{owner_.ptr(), client_, &said.entry, 1, nullptr, &said};
    PyObject* out = (asker.*how)();
    if (!out) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(out);
  }

  const py::object owner_;
  Client* const client_;
  std::string policy_, file_;
  const std::string headers_, trusted_proxies_;
  const int64_t ipv6_prefix_;
  uint64_t handle_ = 0, generation_ = 0;
  int32_t handle_status_ = TG_OK;
};

std::vector<tg_entry> settlements(const Answer& answer, int32_t status, const std::string& said,
                                  uint32_t flags) {
  std::vector<tg_entry> out(16);
  for (;;) {
    const int32_t count =
        tg_guard_finish(answer.scope.data(), answer.scope.size(), status, said.data(), said.size(),
                        flags, out.data(), static_cast<int32_t>(out.size()));
    if (count < 0) throw_error(count);
    const bool all = static_cast<size_t>(count) <= out.size();
    out.resize(static_cast<size_t>(count));
    if (all) return out;
  }
}

// finish(client, decision, status, attributes, flags, in_loop): settles what the decision's request
// charged, behind the answer. What becomes of it is nobody's: a store that is away has lost it.
void finish(py::handle owner, py::handle decision, int32_t status, py::handle attributes,
            uint32_t flags, bool in_loop) {
  Client* client = py::cast<Client*>(owner);
  const Answer* const answer = answer_of(decision.ptr(), client);
  if (!answer || client->closed()) return;
  std::string said;
  if (!read_attributes(nullptr, attributes.ptr(), said)) throw py::error_already_set();
  for (tg_entry& entry : settlements(*answer, status, said, flags)) {
    Asker asker{owner.ptr(), client, &entry, 1, nullptr, nullptr};
    PyObject* out = in_loop ? asker.async() : asker.sync();
    PyObject* closed = out && in_loop ? PyObject_CallMethod(out, "close", nullptr) : nullptr;
    Py_XDECREF(closed);
    Py_XDECREF(out);
    PyErr_Clear();
  }
}

std::string live(Client* client) {
  const auto read = [&] {
    return written([&](char* buffer, size_t size, tg_error*) {
      int64_t status = tg_client_live(client->get(), buffer, size);
      if (status != TG_EFORK) return status;
      client->reopen();
      return tg_client_live(client->get(), buffer, size);
    });
  };
  return read();
}

std::string validate(const std::string& policy) {
  return written([&](char* buffer, size_t size, tg_error*) {
    return tg_policy_validate(policy.data(), policy.size(), buffer, size);
  });
}

std::string resolve(const std::string& policy, const std::string& live, py::handle attributes,
                    int64_t now_us) {
  std::string said;
  if (!read_attributes(nullptr, attributes.ptr(), said)) throw py::error_already_set();
  return written([&](char* buffer, size_t size, tg_error* error) {
    return tg_policy_resolve(policy.data(), policy.size(), live.data(), live.size(), said.data(),
                             said.size(), now_us, buffer, size, error);
  });
}

std::string ignored(const std::string& policy, const std::string& live) {
  return written([&](char* buffer, size_t size, tg_error* error) {
    return tg_policy_ignored(policy.data(), policy.size(), live.data(), live.size(), buffer, size,
                             error);
  });
}

std::string place_name(const std::string& mount, const std::string& method,
                       const std::optional<std::string>& route) {
  return written([&](char* buffer, size_t size, tg_error*) {
    return tg_place_name(mount.data(), mount.size(), method.data(), method.size(),
                         route ? route->data() : nullptr, route ? route->size() : 0, buffer, size);
  });
}

}  // namespace

void add_guard_type(py::module_& module) {
  py::class_<Guard>(module, "Guard")
      .def(py::init<py::object, std::string, std::string, std::string, std::string, int64_t>(),
           py::arg("client"), py::arg("policy") = "", py::arg("file") = "", py::arg("headers") = "",
           py::arg("trusted_proxies") = "", py::arg("ipv6_prefix") = 0)
      .def("check", &Guard::check, py::arg("attributes"), py::arg("after") = py::none())
      .def("check_async", &Guard::check_async, py::arg("attributes"), py::arg("after") = py::none())
      .def("load", &Guard::load)
      .def("explain", &Guard::explain)
      .def("edit", &Guard::edit, py::arg("patch"), py::arg("who"), py::arg("replace"));
  module.attr("FINISH_RENEW") = TG_FINISH_RENEW;
  module.attr("FINISH_DENIED") = TG_FINISH_DENIED;
  module.def("finish", &finish);
  module.def("live", &live);
  module.def("validate_policy", &validate);
  module.def("resolve_policy", &resolve);
  module.def("ignored_of_policy", &ignored);
  module.def("place_name", &place_name);
}

}  // namespace tidegate_python
