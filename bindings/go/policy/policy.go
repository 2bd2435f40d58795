// SPDX-License-Identifier: MIT

//go:build cgo

// Package policy says what applies to a request by a policy, without a gate or a store: tests of
// policies are made of it.
//
//	answer, err := policy.Resolve("limits.yaml", tidegate.Attributes{
//		"method": "POST", "path": "/v1/images/generations", "identity": "k_1", "images": 4,
//	})
//	if answer.Verdict != "limits" || answer.Parts[0].Limiter != "images" { ... }
package policy

import (
	"encoding/json"
	"time"

	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/internal/pure"
)

// Resolution is what applies to a request.
type Resolution = tidegate.Resolution

// Part is one limit of a request's check.
type Part = tidegate.PolicyPart

// Fault is what is wrong with a policy, and where.
type Fault = tidegate.PolicyFault

// Option is a circumstance of [Resolve].
type Option func(*circumstances)

type circumstances struct {
	live any
	now  time.Time
}

// Live is a document that is said over the policy, as [tidegate.GatePolicy.Live] has it.
func Live(document any) Option { return func(c *circumstances) { c.live = document } }

// Now is the time, for what has an end; time.Now unless given.
func Now(now time.Time) Option { return func(c *circumstances) { c.now = now } }

// Resolve says what applies to a request. A policy is a path, a text (which has a newline or begins
// with {), or anything that encoding/json takes. One that is faulty is a [tidegate.CodePolicy].
func Resolve(policy any, request tidegate.Attributes, options ...Option) (Resolution, error) {
	var answer Resolution
	c := circumstances{now: time.Now()}
	for _, option := range options {
		option(&c)
	}
	text, err := pure.Read(policy)
	if err != nil {
		return answer, err
	}
	live := ""
	if c.live != nil {
		if live, err = pure.JSON(c.live); err != nil {
			return answer, err
		}
	}
	attributes, err := pure.AppendAll(nil, request)
	if err != nil {
		return answer, &tidegate.Error{
			Code: tidegate.CodeAttribute, Message: err.Error(), Position: -1,
		}
	}
	said, failure := pure.Resolve(text, live, attributes, c.now.UnixMicro())
	if failure != nil {
		return answer, failed(failure)
	}
	return answer, json.Unmarshal([]byte(said), &answer)
}

// Validate says what is wrong with a policy; nothing: it can be used.
func Validate(policy any) ([]Fault, error) {
	text, err := pure.Read(policy)
	if err != nil {
		return nil, err
	}
	said, failure := pure.Validate(text)
	if failure != nil {
		return nil, failed(failure)
	}
	var faults []Fault
	return faults, json.Unmarshal([]byte(said), &faults)
}

// Ignored are the places of a live document that speak of limiters and tiers which the policy has
// not. They are left out: services with other policies share the document.
func Ignored(policy, live any) ([]string, error) {
	text, err := pure.Read(policy)
	if err != nil {
		return nil, err
	}
	over, err := pure.JSON(live)
	if err != nil {
		return nil, err
	}
	said, failure := pure.Ignored(text, over)
	if failure != nil {
		return nil, failed(failure)
	}
	var names []string
	return names, json.Unmarshal([]byte(said), &names)
}

func failed(f *pure.Failure) error {
	return &tidegate.Error{
		Code: tidegate.Code(f.Code), Message: f.Message, Position: int(f.Position),
	}
}
