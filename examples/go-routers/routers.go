// SPDX-License-Identifier: MIT

// Package routers has what tghttp's middleware needs to stand in a router that has handlers of its
// own: a few lines each, to copy. chi needs none: router.Use(limit), router.With(limit).Get(...).
package routers

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
)

// Middleware is what tghttp.New makes.
type Middleware = func(http.Handler) http.Handler

// Gin makes gin's middleware of it: router.Use(routers.Gin(limit)).
func Gin(limit Middleware) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			passed, c.Request = true, r
			before := c.Writer
			c.Writer = &ginWriter{before, w}
			c.Next()
			c.Writer.WriteHeaderNow() // gin would do it behind the middleware
			c.Writer = before
		})
		if route := c.FullPath(); route != "" { // limits without a name are called by their route
			c.Request.Pattern = route
		}
		if limit(next).ServeHTTP(c.Writer, c.Request); !passed {
			c.Abort()
		}
	}
}

// ginWriter tells the middleware when the answer begins, and with which status; gin decides that at
// the first byte.
type ginWriter struct {
	gin.ResponseWriter
	to http.ResponseWriter
}

func (w *ginWriter) begin() {
	if !w.Written() {
		w.to.WriteHeader(w.Status())
	}
}

func (w *ginWriter) Write(body []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(body)
}

func (w *ginWriter) WriteString(body string) (int, error) {
	w.begin()
	return w.ResponseWriter.WriteString(body)
}

func (w *ginWriter) WriteHeaderNow() {
	w.begin()
	w.ResponseWriter.WriteHeaderNow()
}

func (w *ginWriter) Flush() {
	w.begin()
	w.ResponseWriter.Flush()
}

func (w *ginWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.to).Hijack()
}

// Echo makes echo's middleware of it. echo.WrapMiddleware does as well, but for rules that count or
// settle by the answer: handlers that return an error are answered behind it.
func Echo(limit Middleware) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			served := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				c.SetResponse(echo.NewResponse(w, c.Echo()))
				if err := next(c); err != nil {
					c.Error(err)
				}
			})
			if route := c.Path(); route != "" {
				c.Request().Pattern = route
			}
			limit(served).ServeHTTP(c.Response(), c.Request())
			return nil
		}
	}
}
