// SPDX-License-Identifier: MIT

//go:build !race

package tidegate_test

const raceEnabled = false
