// Package sabotage builds the program under test with defects, such as people make
// by mistake, to show that the checker detects them. A sabotage replaces
// declarations of the production code by name, in files that only the compiler
// sees, by the flag -overlay of the go command. The production code contains
// nothing for this.
package sabotage

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Swap replaces declarations of one package.
type Swap struct {
	// In is the directory, from the root of the module, in which the package is looked
	// for, with its subdirectories. Exactly one package in it must declare the names:
	// a declaration or a package may move without breaking the swap.
	In string
	// Code is Go source without a package clause. Each declaration replaces the one
	// with the same name, which must exist, and which the code can use under the name
	// "original" + Name. A name that begins with "sabotaged" is a new declaration.
	Code string
}

const newPrefix = "sabotaged"

// Overlay writes the changed sources to dir, and a file for the flag -overlay of
// the go command. root is the directory of the module. It returns the file, and the
// import paths of the changed packages relative to root.
func Overlay(root, dir string, swaps []Swap) (file string, packages []string, err error) {
	replace := make(map[string]string) // the changed file by the original file
	for _, s := range swaps {
		pkg, err := s.write(root, dir, replace)
		if err != nil {
			return "", nil, fmt.Errorf("swap declarations in %s: %w", s.In, err)
		}
		packages = append(packages, "./"+pkg)
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, packages, os.WriteFile(file, text, 0o644)
}

// write writes the changed files of one package, and adds them to replace.
func (s Swap) write(root, dir string, replace map[string]string) (pkg string, err error) {
	code, err := parser.ParseFile(token.NewFileSet(), "code", "package p\n"+s.Code, parser.SkipObjectResolution)
	if err != nil {
		return "", err
	}
	var names []string
	for name := range declarations(code) {
		if _, method, _ := strings.Cut(name, "."); !strings.HasPrefix(name, newPrefix) && !strings.HasPrefix(method, newPrefix) {
			names = append(names, name)
		}
	}
	found, err := find(filepath.Join(root, s.In), names)
	if err != nil {
		return "", err
	}
	if pkg, err = filepath.Rel(root, found.dir); err != nil {
		return "", err
	}
	save := func(path, text string) error {
		if replace[path] != "" {
			return fmt.Errorf("%s has a swap already: put the two into one", pkg)
		}
		replace[path] = filepath.Join(dir, strings.ReplaceAll(pkg, "/", "_")+"_"+filepath.Base(path))
		return os.WriteFile(replace[path], []byte(text), 0o644)
	}
	if err := save(filepath.Join(found.dir, "sabotage.go"), "package "+found.name+"\n"+s.Code); err != nil {
		return "", err
	}
	for path, file := range found.files {
		text, err := file.rename(path, names)
		if err != nil {
			return "", err
		}
		if text == "" {
			continue
		}
		if err := save(path, text); err != nil {
			return "", err
		}
	}
	return pkg, nil
}

// packageSource is the parsed files of a package, by path.
type packageSource struct {
	dir, name string
	files     map[string]*source
}

type source struct {
	*ast.File
	set *token.FileSet
}

// declares reports whether the package declares a name.
func (p *packageSource) declares(name string) bool {
	for _, file := range p.files {
		for declared := range declarations(file.File) {
			if declared == name {
				return true
			}
		}
	}
	return false
}

// rename returns the text of a file in which the declarations, but no uses, of the
// names are renamed. It returns "" if the file declares none of them.
func (s *source) rename(path string, names []string) (string, error) {
	var at []int
	for name, ident := range declarations(s.File) {
		if slices.Contains(names, name) {
			at = append(at, s.set.Position(ident.Pos()).Offset)
		}
	}
	if len(at) == 0 {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var renamed strings.Builder
	last := 0
	for _, offset := range at { // declarations come in the order of the source
		renamed.Write(text[last:offset])
		renamed.WriteString("original" + strings.ToUpper(string(text[offset])))
		last = offset + 1
	}
	renamed.Write(text[last:])
	return renamed.String(), nil
}

// declarations yields the names that a file declares: "Name" or, for a method,
// "Type.Name".
func declarations(file *ast.File) iter.Seq2[string, *ast.Ident] {
	return func(yield func(string, *ast.Ident) bool) {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = receiver(d.Recv.List[0].Type) + "." + name
				}
				if !yield(name, d.Name) {
					return
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					var idents []*ast.Ident
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						idents = spec.Names
					case *ast.TypeSpec:
						idents = []*ast.Ident{spec.Name}
					}
					for _, ident := range idents {
						if !yield(ident.Name, ident) {
							return
						}
					}
				}
			}
		}
	}
}

// receiver returns the name of a receiver's type: T for T, *T and *T[P].
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	default:
		return ""
	}
}

// find returns the one package in a directory and below that declares all names.
func find(in string, names []string) (*packageSource, error) {
	packages := make(map[string]*packageSource) // by directory
	err := filepath.WalkDir(in, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if packages[dir] == nil {
			packages[dir] = &packageSource{dir, file.Name.Name, make(map[string]*source)}
		}
		packages[dir].files[path] = &source{file, set}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []*packageSource
	for _, p := range packages {
		if !slices.ContainsFunc(names, func(name string) bool { return !p.declares(name) }) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d packages declare %s, want one", len(found), strings.Join(names, " and "))
	}
	return found[0], nil
}
