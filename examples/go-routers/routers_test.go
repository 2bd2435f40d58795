// SPDX-License-Identifier: MIT

package routers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"
	tidegate "github.com/tidegate/tidegate/bindings/go"
	"github.com/tidegate/tidegate/bindings/go/tghttp"
	routers "github.com/tidegate/tidegate/examples/go-routers"
)

const policy = `
version: 1
limiters: {logins: 2/hour, app: 100/minute}
rules:
  - {when: {route: /v1/login}, limit: logins, count: failed}
  - {limit: app}
callers: {k_evil: {ban: true}}
`

func chiService(around, route routers.Middleware) http.Handler {
	router := chi.NewRouter()
	router.With(around).Post("/v1/login", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Password") != "right" {
			http.Error(w, "wrong", http.StatusUnauthorized)
		}
	})
	router.With(around, route).Get("/items/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("RateLimit-Policy", `"mine";q=1`)
		_, _ = io.WriteString(w, chi.URLParam(r, "id"))
	})
	return router
}

func ginService(around, route routers.Middleware) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(routers.Gin(around))
	router.POST("/v1/login", func(c *gin.Context) {
		if c.GetHeader("Password") != "right" {
			c.AbortWithStatus(http.StatusUnauthorized)
		}
	})
	router.GET("/items/:id", routers.Gin(route), func(c *gin.Context) {
		c.Header("RateLimit-Policy", `"mine";q=1`)
		c.String(http.StatusOK, c.Param("id"))
	})
	return router
}

func echoService(around, route routers.Middleware) http.Handler {
	router := echo.New()
	router.Use(routers.Echo(around))
	router.POST("/v1/login", func(c echo.Context) error {
		if c.Request().Header.Get("Password") != "right" {
			return echo.NewHTTPError(http.StatusUnauthorized)
		}
		return c.NoContent(http.StatusOK)
	})
	router.GET("/items/:id", func(c echo.Context) error {
		c.Response().Header().Set("RateLimit-Policy", `"mine";q=1`)
		return c.String(http.StatusOK, c.Param("id"))
	}, routers.Echo(route))
	return router
}

type service struct {
	t   *testing.T
	url string
}

// asks expects a status, and returns the answer and its body.
func (s service) asks(status int, method, path string, headers ...string) (http.Header, string) {
	s.t.Helper()
	request, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		s.t.Errorf("%s %s: %s %s %v, expected %d", method, path, response.Status, body, err, status)
	}
	return response.Header, string(body)
}

func TestEveryRouter(t *testing.T) {
	for name, make := range map[string]func(around, route routers.Middleware) http.Handler{
		"chi": chiService, "gin": ginService, "echo": echoService,
	} {
		t.Run(name, func(t *testing.T) {
			gate, err := tidegate.Connect("memory://", tidegate.UsePolicy(policy))
			if err != nil {
				t.Fatal(err)
			}
			defer gate.Close()
			key := func(r *http.Request) string { return r.Header.Get("X-Api-Key") }
			around, err := tghttp.New(tghttp.Config{Gate: gate, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			route, err := tghttp.New(tghttp.Config{Gate: gate, Limit: "2/hour", Key: key})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(make(around, route))
			defer server.Close()
			check(t, gate, service{t, server.URL})
		})
	}
}

func check(t *testing.T, gate *tidegate.Gate, s service) {
	t.Helper()
	s.asks(403, "GET", "/items/1", "X-Api-Key", "k_evil")
	for range 4 { // what succeeds does not count
		s.asks(200, "POST", "/v1/login", "Password", "right")
	}
	s.asks(401, "POST", "/v1/login")
	s.asks(401, "POST", "/v1/login")
	s.asks(429, "POST", "/v1/login")

	for i, left := range []string{"1", "0"} {
		h, body := s.asks(200, "GET", "/items/7")
		if h.Get("X-RateLimit-Remaining") != left || body != "7" ||
			h.Get("RateLimit-Policy") != `"mine";q=1` || h.Values("RateLimit") != nil {
			t.Errorf("%d: %q %v", i, body, h)
		}
	}
	h, _ := s.asks(429, "GET", "/items/8")
	if limits := h.Get("RateLimit-Policy"); limits != `"app";q=100;w=60, "GET.items-id";q=2;w=3600` {
		t.Error(limits)
	}
	app, err := gate.Limiter("100/minute", tidegate.Name("app"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := app.Peek(t.Context(), "@127.0.0.1")
	if err != nil || d.Remaining < 91 { // what was refused cost nothing: 4 + 2 logins, 2 items
		t.Error(d, err)
	}
}
