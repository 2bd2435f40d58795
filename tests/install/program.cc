// SPDX-License-Identifier: MIT
// The same program, compiled as C++: the header serves both.
#include "program.c"
