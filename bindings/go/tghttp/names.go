// SPDX-License-Identifier: MIT

package tghttp

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
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
	otherWord  = "OTHER"      // all methods that HTTP does not define
	longest    = 64           // bytes of a limiter's name
)

// placeOf reads the request's pattern, which net/http's ServeMux and chi set.
func placeOf(r *http.Request) place {
	here := place{pattern: r.Pattern}
	if method, _, path := here.split(); method == "" && !subtree(path) {
		here.method = known(r.Method)
	}
	return here
}

// split takes "GET host/path" apart; each may be missing.
func (p place) split() (method, host, path string) {
	path = p.pattern
	if at := strings.IndexAny(path, " \t"); at >= 0 {
		method, path = path[:at], strings.TrimLeft(path[at:], " \t")
	}
	if at := strings.IndexByte(path, '/'); at > 0 {
		host, path = path[:at], path[at:]
	}
	return method, host, path
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

// name is the limit's that has none of its own, the same in every language: mount, method and
// template of a route, such as v1.GET.items-id; of a mount its path, or everything. A host, if the
// pattern has one, is the first word.
func (p place) name(mount string) (name string, isRoute bool) {
	method, host, path := p.split()
	if method == "" {
		method = p.method
	}
	mount, path = strings.TrimRight(mount, "/"), braced(path)
	path = strings.TrimPrefix(path, mount)
	texts := []string{mount, method, path}
	if method == "" { // no route
		texts = []string{mount + strings.TrimRight(path, "/*")}
	}
	if host != "" {
		texts = append([]string{host}, texts...)
	}
	var words []string
	for _, text := range texts {
		if word := readable(text); word != "" {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return everything, false
	}
	return short(strings.Join(words, "."), texts), method != ""
}

// behind puts the numbers of a limit behind its name.
func behind(name, numbers string) string {
	return short(name+"."+numbers, []string{name, numbers})
}

// What routers write for a segment, or the rest of a path, that a name stands for: net/http's
// {path...}, gin's :id and *path; and the end of a path, {$}.
var (
	wildcard = regexp.MustCompile(`/[:*](\w+)`)
	theRest  = strings.NewReplacer("...}", "}", "{$}", "")
)

// braced writes a template as {id} for every router.
func braced(path string) string {
	return wildcard.ReplaceAllString(theRest.Replace(path), "/{$1}")
}

// readable is "items-id" of "/items/{id}".
func readable(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case strings.ContainsRune("{}*", c):
			return -1
		case c == '/':
			return '-'
		case plain(c):
			return c
		}
		return '_'
	}, strings.TrimPrefix(text, "/"))
}

func plain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' ||
		c == '.' || c == '-'
}

// short is the name, at most 64 characters of it, and where it says less than the texts it was made
// of did, another one for other texts.
func short(name string, texts []string) string {
	lossy := len(name) > longest
	for _, text := range texts {
		odd := func(c rune) bool { return !plain(c) && !strings.ContainsRune("/{}*", c) }
		lossy = lossy || strings.ContainsFunc(text, odd) || strings.Contains(text, "//") ||
			len(text) > 1 && strings.HasSuffix(text, "/")
	}
	if !lossy {
		return name
	}
	digest := fnv.New32a()
	_, _ = digest.Write([]byte(strings.Join(texts, " ")))
	return fmt.Sprintf("%.55s-%08x", name, digest.Sum32())
}
