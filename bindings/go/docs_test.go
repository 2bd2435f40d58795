// SPDX-License-Identifier: MIT

package tidegate_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// What `go doc` and pkg.go.dev show: the package's comment, and one for every exported name.
func TestEverythingExportedIsDocumented(t *testing.T) {
	for _, folder := range []string{".", "policy", "tghttp", "tidegatetest"} {
		files := token.NewFileSet()
		packages, err := parser.ParseDir(files, folder, func(f fs.FileInfo) bool {
			return !strings.HasSuffix(f.Name(), "_test.go") && f.Name() != "nocgo.go"
		}, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for name, parsed := range packages {
			p := doc.New(parsed, folder, 0)
			if !strings.HasPrefix(p.Doc, "Package "+name+" ") {
				t.Errorf("%s: its package comment is %q", filepath.Join(folder), p.Doc)
			}
			undocumented(t, p)
		}
	}
}

func undocumented(t *testing.T, p *doc.Package) {
	t.Helper()
	functions := p.Funcs
	values := append(p.Consts, p.Vars...)
	for _, kind := range p.Types {
		if kind.Doc == "" {
			t.Errorf("%s.%s has no comment", p.Name, kind.Name)
		}
		functions = append(append(functions, kind.Funcs...), kind.Methods...)
		values = append(append(values, kind.Consts...), kind.Vars...)
	}
	for _, f := range functions {
		if f.Doc == "" {
			t.Errorf("%s: %s%s has no comment", p.Name, f.Recv, f.Name)
		}
	}
	for _, v := range values {
		for _, s := range v.Decl.Specs {
			if spec := s.(*ast.ValueSpec); v.Doc == "" && spec.Doc == nil && spec.Comment == nil {
				t.Errorf("%s: %v has no comment", p.Name, spec.Names)
			}
		}
	}
}
