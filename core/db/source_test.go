package db_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// source is every Go file of the repository, parsed, by package folder.
type source struct {
	root  string
	fset  *token.FileSet
	files map[string][]*sourceFile // by folder, relative to root
}

type sourceFile struct {
	path string // relative to root, with slashes
	ast  *ast.File
}

// text is a piece of SQL and where it stands.
type text struct {
	where    string // file:line
	file     string
	constant string // name of the package-level constant that holds all of it, or empty
	sql      string
}

func readSource(t *testing.T) *source {
	t.Helper()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			t.Fatal("no go.mod above the test")
		}
		root = parent
	}
	s := &source{root: root, fset: token.NewFileSet(), files: map[string][]*sourceFile{}}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(s.fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(relative))
		s.files[folder] = append(s.files[folder], &sourceFile{path: filepath.ToSlash(relative), ast: parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// constantsOf finds the package-level constants of a folder and their expressions.
func constantsOf(files []*sourceFile) map[string]ast.Expr {
	out := map[string]ast.Expr{}
	for _, file := range files {
		for _, decl := range file.ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					if i < len(value.Values) {
						out[name.Name] = value.Values[i]
					}
				}
			}
		}
	}
	return out
}

// stringOf evaluates a constant string expression; whole is false when a part of it is not constant.
func stringOf(expr ast.Expr, constants map[string]ast.Expr, depth int) (value string, whole bool) {
	if depth > 20 {
		return "", false
	}
	switch e := expr.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		value, err := strconv.Unquote(e.Value)
		return value, err == nil
	case *ast.ParenExpr:
		return stringOf(e.X, constants, depth+1)
	case *ast.Ident:
		if value, ok := constants[e.Name]; ok {
			return stringOf(value, constants, depth+1)
		}
		return "", false
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, leftWhole := stringOf(e.X, constants, depth+1)
		right, rightWhole := stringOf(e.Y, constants, depth+1)
		return left + right, leftWhole && rightWhole
	default:
		return "", false
	}
}

// sqlTexts finds every string of the repository that is SQL: constants and concatenations as a whole, and literals.
func (s *source) sqlTexts() []text {
	var out []text
	for _, files := range s.files {
		constants := constantsOf(files)
		for _, file := range files {
			named := map[ast.Expr]string{}
			for _, decl := range file.ast.Decls {
				if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.CONST {
					for _, spec := range gen.Specs {
						value := spec.(*ast.ValueSpec)
						for i := range value.Values {
							named[value.Values[i]] = value.Names[i].Name
						}
					}
				}
			}
			ast.Inspect(file.ast, func(node ast.Node) bool {
				expr, ok := node.(ast.Expr)
				if !ok {
					return true
				}
				switch expr.(type) {
				case *ast.BasicLit, *ast.BinaryExpr:
				default:
					return true
				}
				value, whole := stringOf(expr, constants, 0)
				name := named[expr]
				if !looksLikeSQL(value) && !sqlConstant.MatchString(name) {
					return true
				}
				if !whole {
					name = ""
				}
				position := s.fset.Position(expr.Pos())
				out = append(out, text{where: fmt.Sprintf("%s:%d", file.path, position.Line), file: file.path, constant: name, sql: value})
				return false // parts of it are not looked at again
			})
		}
	}
	return out
}

// sqlConstant is how constants with a whole statement are named.
var sqlConstant = regexp.MustCompile(`^sql[A-Z0-9]`)

// sqlHead recognises the beginning of a statement well enough to leave prose alone.
var sqlHead = regexp.MustCompile(`(?is)^\s*(--[^\n]*\n\s*)*(` + strings.Join([]string{
	`SELECT\s.*\bFROM\s`, `SELECT\s+[\w.]+\(`, `INSERT\s+INTO\s`, `UPSERT\s+INTO\s`, `UPDATE\s+\w+(\s+AS)?(\s+\w+)?\s+SET\s`, `DELETE\s+FROM\s`,
	`MERGE\s+INTO\s`, `WITH\s+(RECURSIVE\s+)?\w+(\s*\([^)]*\))?\s+AS\s`, `VALUES\s*\(`, `TABLE\s+\w+\s*$`,
	`CREATE\s+(OR\s+REPLACE\s+)?(UNIQUE\s+|TEMP\s+|TEMPORARY\s+|UNLOGGED\s+)?(TABLE|INDEX|DATABASE|SCHEMA|SEQUENCE|TYPE|DOMAIN|TRIGGER|FUNCTION|VIEW|ROLE|USER|EXTENSION)\s`,
	`ALTER\s+(TABLE|INDEX|DATABASE|SEQUENCE|ROLE|USER|SYSTEM|TYPE)\s`, `DROP\s+(TABLE|INDEX|DATABASE|SCHEMA|SEQUENCE|TYPE|ROLE|USER|VIEW)\s`,
	`TRUNCATE\s+(TABLE\s+)?\w+`, `LOCK\s+TABLE\s`, `LISTEN\s+\w+\s*;?\s*$`, `NOTIFY\s+\w+(\s*,.*)?\s*;?\s*$`, `(RELEASE\s+)?SAVEPOINT\s+\w+\s*;?\s*$`, `ROLLBACK\s+TO\s`,
	`COPY\s+\w+\s*(\(.*\)\s*)?(FROM|TO)\s`, `GRANT\s.*\sTO\s`, `SET\s+(LOCAL\s+|SESSION\s+)?\w+\s*(=|TO)\s`, `BEGIN\s*(ISOLATION\s.*)?;?\s*$`, `SHOW\s+\w+\s*;?\s*$`,
}, "|") + `)`)

// clause is in nearly all SQL and in little prose that sqlHead lets through.
var clause = regexp.MustCompile(`(?i)\b(FROM|INTO|SET|TABLE|INDEX|VALUES)\b`)

// looksLikeSQL also wants the first word in capitals, as all SQL of the repository is written, or the rest to be beyond
// doubt: a help text may begin with "Update orders set by …".
func looksLikeSQL(s string) bool {
	if !sqlHead.MatchString(s) {
		return false
	}
	for line := range strings.Lines(s) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--") {
			continue
		}
		word := line[:strings.IndexFunc(line+" ", func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') })]
		return word == strings.ToUpper(word) || word == strings.ToLower(word) && clause.MatchString(s)
	}
	return false
}
