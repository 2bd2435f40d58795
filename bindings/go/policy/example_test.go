// SPDX-License-Identifier: MIT

//go:build cgo

package policy_test

import (
	"fmt"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/policy"
)

const limits = `
version: 1
limiters: {basic: 100/minute burst 20, images: 10/minute}
rules:
  - {when: {path: /v1/images/*}, limit: images, cost: "{images}"}
  - {limit: basic}
`

// A team's test of its policy.
func ExampleResolve() {
	answer, err := policy.Resolve(limits, tidegate.Attributes{
		"method": "POST", "path": "/v1/images/new", "identity": "k_1", "images": 4,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, part := range answer.Parts {
		fmt.Println(part.Limiter, part.Key, part.Cost)
	}
	// Output:
	// images k_1 4
	// basic k_1 1
}

func ExampleValidate() {
	faults, err := policy.Validate("version: 1\nlimiters: {basic: 100/minute}\nrules: [{limit: basics}]\n")
	for _, fault := range faults {
		fmt.Println(fault.Line, fault.Path, err)
	}
	// Output: 3 rules[0].limit <nil>
}
