// Writes the SDKs of a Pulumi package from its schema, as `pulumi package gen-sdk` does through language hosts, which
// are not all to be had as modules.
//
//	sdkgen SCHEMA LANGUAGE DIRECTORY
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	gogen "github.com/pulumi/pulumi/pkg/v3/codegen/go"
	"github.com/pulumi/pulumi/pkg/v3/codegen/nodejs"
	"github.com/pulumi/pulumi/pkg/v3/codegen/python"
	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: sdkgen SCHEMA nodejs|python|go|check DIRECTORY")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(file, language, directory string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec schema.PackageSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	pkg, diagnostics, err := schema.BindSpec(spec, schema.NewNullLoader(), schema.ValidationOptions{})
	if err != nil {
		return err
	}
	// Warnings count: what they are about would be wrong in some language.
	for _, diagnostic := range diagnostics {
		fmt.Fprintln(os.Stderr, diagnostic)
	}
	if len(diagnostics) > 0 {
		return fmt.Errorf("%s: %d problems", file, len(diagnostics))
	}
	var files map[string][]byte
	switch language {
	case "check":
		return nil
	case "nodejs":
		files, err = nodejs.GeneratePackage("pulumi-blockhost", pkg, nil, nil, false, nil)
	case "python":
		files, err = python.GeneratePackage("pulumi-blockhost", pkg, nil, nil)
	case "go":
		files, err = gogen.GeneratePackage("pulumi-blockhost", pkg, nil)
	default:
		return fmt.Errorf("no language %q", language)
	}
	if err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
