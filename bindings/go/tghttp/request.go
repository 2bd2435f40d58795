// SPDX-License-Identifier: MIT

package tghttp

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"

	tidegate "github.com/tidegate/tidegate/bindings/go"
)

// seen is what a request is, whoever calls and whatever it costs: no function of the program's is
// asked.
func (m *middleware) seen(r *http.Request) tidegate.AttributeList {
	list := make(tidegate.AttributeList, 0, 1024)
	list.Add("method", r.Method)
	list.Add("path", m.Mount+r.URL.EscapedPath())
	list.Add("@path", r.URL.Path)
	list.Add("host", r.Host)
	if _, _, path := split(r.Pattern); path != "" {
		list.Add("route", m.Mount+path)
	}
	if r.RemoteAddr == "@" { // what net/http says of a Unix socket
		list.Add("@peer", "")
	} else {
		list.Add("@peer", r.RemoteAddr)
	}
	if lines := r.Header["X-Forwarded-For"]; len(lines) > 0 {
		list.Add("@forwarded_for", strings.Join(lines, ","))
	}
	if r.Method == http.MethodOptions {
		list.Add("@origin", r.Header.Get("Origin"))
		list.Add("@requested_method", r.Header.Get("Access-Control-Request-Method"))
	}
	return list
}

// asked is seen, and what the program's functions say of the request.
func (m *middleware) asked(r *http.Request) (tidegate.AttributeList, error) {
	list := m.seen(r)
	identify := m.Identity
	if identify == nil {
		identify = m.Key
	}
	if identify != nil {
		list.Add("identity", identify(r))
	}
	if m.Tier != nil {
		list.Add("tier", m.Tier(r))
	}
	if m.Attributes != nil {
		if err := list.AddAll(m.Attributes(r)); err != nil {
			return nil, err
		}
	}
	cost := ""
	if m.Cost != nil {
		cost = strconv.FormatInt(m.Cost(r), 10)
	}
	for _, u := range m.rules {
		list = append(list, u.fixed...)
		m.addPart(&list, r, u, cost)
	}
	if m.For != nil {
		for _, l := range m.For(r) {
			if l != nil {
				list.AddLimiter(l)
				m.addPart(&list, r, &rule{}, cost)
			}
		}
	}
	return list, nil
}

// addPart says where a limit stands, whom it charges, and how much.
func (m *middleware) addPart(list *tidegate.AttributeList, r *http.Request, u *rule, cost string) {
	if u.placed {
		m.addPlace(list, r)
	}
	key := u.Key
	if key == nil && m.Identity != nil {
		key = m.Key
	}
	switch {
	case u.Per == Everyone:
		list.Add("@per", "everyone")
	case u.Per == Address:
		list.Add("@per", "address")
	case key != nil:
		list.Add("@key", key(r)) // "": the address
	}
	if u.Cost != nil {
		cost = strconv.FormatInt(u.Cost(r), 10)
	}
	if cost != "" {
		list.Add("@cost", cost)
	}
}

// warn tells once of a proxy that nobody believes: the caller is who opened the socket.
func (m *middleware) warn(r *http.Request, d tidegate.Decision) {
	if m.TrustedProxies != "" || r.Header["X-Forwarded-For"] == nil || m.warned.Load() {
		return
	}
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err == nil && d.Caller() == "@"+peer && !m.warned.Swap(true) {
		slog.WarnContext(r.Context(), "tidegate: a request has X-Forwarded-For, and TrustedProxies "+
			"is not set: callers behind a proxy are counted as one; \"0\" says that there is none")
	}
}

// addPlace says what a limit without a name is called where the request met it; around all routes
// its numbers say it. A pattern without a method is a limit for each method, unless it is a mount:
// "/v1/", chi's "/v1/*".
func (m *middleware) addPlace(list *tidegate.AttributeList, r *http.Request) {
	method, host, path := split(r.Pattern)
	mount := strings.TrimSuffix(path, "*")
	if method == "" && mount != "" && !strings.HasSuffix(mount, "/") {
		method = r.Method
	}
	if method != "" {
		list.Add("@place", tidegate.PlaceName(host+m.Mount, method, path))
	} else if mount = host + m.Mount + mount; strings.Trim(mount, "/") != "" {
		list.Add("@place", tidegate.PlaceName(mount, "", ""))
	}
}

// split takes "GET host/path" apart; each may be missing.
func split(pattern string) (method, host, path string) {
	path = pattern
	if at := strings.IndexAny(path, " \t"); at >= 0 {
		method, path = path[:at], strings.TrimLeft(path[at:], " \t")
	}
	if at := strings.IndexByte(path, '/'); at > 0 {
		host, path = path[:at], path[at:]
	}
	return method, host, path
}
