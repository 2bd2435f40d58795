// SPDX-License-Identifier: MIT

package tghttp

import (
	"net/http"
	"slices"
	"strings"
)

// canonical is http.CanonicalHeaderKey, which allocates.
func canonical(name string) string {
	switch name {
	case "RateLimit":
		return "Ratelimit"
	case "RateLimit-Policy":
		return "Ratelimit-Policy"
	case "X-RateLimit-Limit":
		return "X-Ratelimit-Limit"
	case "X-RateLimit-Remaining":
		return "X-Ratelimit-Remaining"
	case "X-RateLimit-Reset":
		return "X-Ratelimit-Reset"
	}
	return http.CanonicalHeaderKey(name)
}

// family is whose fields stand or go together: 0 is none of ours.
func family(canonical string) int {
	switch {
	case canonical == "Ratelimit" || canonical == "Ratelimit-Policy":
		return 1
	case strings.HasPrefix(canonical, "X-Ratelimit-"):
		return 2
	case canonical == "Retry-After":
		return 3
	}
	return 0
}

// yield lets the fields that the handler set itself stand, with their whole family.
func (s *state) yield(h http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.said) == 0 {
		return
	}
	var own [4]bool
	for name, values := range h {
		if f := family(name); f > 0 {
			if rest := s.theirs(name, values); len(rest) > 0 {
				own[f], h[name] = true, rest
			}
		}
	}
	for _, field := range s.said {
		if own[family(field.Name)] && len(s.theirs(field.Name, h[field.Name])) == 0 {
			delete(h, field.Name)
		}
	}
	s.said = nil
}

// theirs are a field's values but the one that was set here; the caller holds mu.
func (s *state) theirs(name string, values []string) []string {
	for _, field := range s.said {
		if field.Name != name {
			continue
		}
		if i := slices.Index(values, field.Value); i >= 0 {
			return append(values[:i:i], values[i+1:]...)
		}
	}
	return values
}
