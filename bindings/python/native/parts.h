// SPDX-License-Identifier: MIT
// One atomic request of several limiters: client.call(op, requests, decision) and
// client.call_async(...), where requests are (limiter, key[, cost[, id]]) tuples, and the decision
// of a refund says to whom the tokens go back.
#pragma once

#include <pybind11/pybind11.h>

namespace tidegate_python {

// Both throw; owner: the client's Python object. TG_OP_PING takes no requests.
pybind11::object call_request(pybind11::handle owner, uint32_t op, pybind11::handle requests,
                              pybind11::handle decision);
pybind11::object call_request_async(pybind11::handle owner, uint32_t op, pybind11::handle requests,
                                    pybind11::handle decision);

}  // namespace tidegate_python
