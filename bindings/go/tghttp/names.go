// SPDX-License-Identifier: MIT

package tghttp

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
)

// place is where a request met a middleware: as many as the program has routes, whatever strangers
// send.
type place struct {
	pattern string // the router's
	method  string // of a pattern that has none
}

const (
	everything = "everything" // around all routes
	otherWord  = "OTHER"      // a method that HTTP does not define
	longest    = 64           // bytes of a limiter's name
)

// placeOf reads the request's pattern, which net/http's ServeMux and chi set.
func placeOf(r *http.Request) place {
	here := place{pattern: r.Pattern}
	if method, path := here.split(); method == "" && !subtree(path) {
		here.method = known(r.Method)
	}
	return here
}

// split takes the method from the pattern; the rest is a host, if there is one, and a path.
func (p place) split() (method, path string) {
	if at := strings.IndexAny(p.pattern, " \t"); at >= 0 {
		return p.pattern[:at], strings.TrimLeft(p.pattern[at:], " \t")
	}
	return "", p.pattern
}

// subtree says of a pattern without a method whether it is a mount rather than a route: "", "/v1/"
// and chi's "/v1/*".
func subtree(path string) bool {
	return path == "" || strings.HasSuffix(path, "/") || strings.HasSuffix(path, "/*")
}

// known is the method that a limit's name may have: strangers do not make names.
func known(method string) string {
	switch method {
	case http.MethodHead:
		return http.MethodGet // what it is routed as
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return otherWord
}

// name is the limit's that has none of its own: host, mount, method and template, as far as there
// are such.
func (p place) name(mount string) string {
	method, path := p.split()
	if method == "" {
		method = p.method
	}
	host, path, ok := strings.Cut(path, "/")
	if !ok {
		host, path = "", host
	}
	prefix, _ := template(mount)
	route, lossy := template(path)
	words := []string{}
	for _, word := range []string{host, prefix, method, route} {
		if word != "" {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return everything
	}
	name := strings.Join(words, ".")
	if lossy {
		return mark(name, p.pattern)
	}
	return legal(name)
}

// template is a path's segments, joined by dashes, without what marks the wildcards. A pattern that
// a wildcard must match is lost.
func template(path string) (words string, lossy bool) {
	var kept []string
	for _, segment := range strings.Split(path, "/") {
		if open := strings.IndexByte(segment, '{'); open >= 0 {
			before, inner := segment[:open], strings.TrimSuffix(segment[open+1:], "}")
			name, rule, ruled := strings.Cut(inner, ":")
			lossy = lossy || ruled && rule != "" || before != ""
			segment = before + strings.TrimSuffix(strings.TrimSuffix(name, "..."), "$")
		}
		segment = strings.TrimLeft(strings.TrimSuffix(segment, "*"), ":*") // gin: ":id", "*path"
		if segment != "" {
			kept = append(kept, segment)
		}
	}
	return strings.Join(kept, "-"), lossy
}

// legal makes a limiter's name of any text: A-Z a-z 0-9 _ . -, at most 64 of them, and another one
// of another text where something is lost.
func legal(text string) string {
	plain := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.':
			return c
		}
		return '-'
	}, text)
	if plain == text && len(text) <= longest {
		return text
	}
	return mark(plain, text)
}

// mark cuts a name, and puts a digest of what it was made of behind it.
func mark(name, text string) string {
	digest := sha256.Sum256([]byte(text))
	return legal(fmt.Sprintf("%.55s-%x", name, digest[:4]))
}
