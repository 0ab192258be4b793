// Package build makes components of projects: it runs the toolchain of the project's
// language, turns the core module that this makes into a component where it is none
// yet, checks that it fits the world, and describes it.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/toolchain"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Options say where a build writes beside the component.
type Options struct {
	// Out and Err get what the toolchain prints. Nil discards it.
	Out, Err io.Writer
	// Command is called with each command before it runs, if it is not nil.
	Command func(toolchain.Command)
}

// Result is what was built.
type Result struct {
	Path string // of the component
	Size int    // of it, in bytes
	// Changed says that the component was written: it was not there, or another.
	Changed bool
	// Commands are those of the toolchain, which ran in any case.
	Commands []toolchain.Command
}

// runInterface is what the adapter exports for a program with a main function.
const runInterface = "wasi:cli/run"

// maxModule bounds what a toolchain may make, in bytes.
const maxModule = 256 << 20

// Project builds a project. It ends with ctx, and leaves what was built before in place
// if it does not succeed.
func Project(ctx context.Context, p *project.Project, o Options) (*Result, error) {
	world, err := p.ResolveWorld()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(p.Component()), 0o777); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, p.Component()+".lock", func() {
		if o.Err != nil {
			fmt.Fprintln(o.Err, "waiting for another build of the project to end")
		}
	})
	if err != nil {
		return nil, err
	}
	defer unlock()
	made, commands, err := compile(ctx, p, world, o)
	if err != nil {
		return nil, err
	}
	stamp, err := stampOf(p, world, made)
	if err != nil {
		return nil, err
	}
	path := p.Component()
	r := &Result{Path: path, Commands: commands}
	if have, ok := upToDate(path, stamp); ok {
		r.Size = have
		return r, nil
	}
	component, err := finish(p, world, made)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.Size, r.Changed = len(component), true
	if err := replace(path, component); err != nil {
		return nil, err
	}
	return r, replace(stampPath(path), stamp.with(component))
}

// compile runs the toolchain and returns what it made, and its commands.
func compile(ctx context.Context, p *project.Project, world *wit.World, o Options) ([]byte, []toolchain.Command, error) {
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, nil, err
	}
	if err := Bind(p, world); err != nil {
		return nil, nil, err
	}
	job := toolchain.Job{
		Dir: dir, World: world.Name, WIT: p.WIT,
		Output: filepath.Join(dir, "build", p.Name+".core.wasm"),
		Runs:   exportsInterface(world, runInterface),
		Once:   p.Initialize == binary.InitializeOnce,
	}
	plan := toolchain.Plan{Output: job.Output}
	if len(p.Build.Command) > 0 {
		plan.Commands = []toolchain.Command{{Args: p.Build.Command, Env: []string{"ASHLAR_OUTPUT=" + job.Output}}}
		if p.Build.Output != "" {
			plan.Output = filepath.Join(dir, filepath.FromSlash(p.Build.Output))
		}
	} else {
		t := toolchain.For(p.Language)
		for _, tool := range t.Tools {
			if _, err := tool.Find(ctx, dir); err != nil {
				return nil, nil, fmt.Errorf("to build %s: %w; install: %s", p.Language, err, tool.Install(dir))
			}
		}
		if plan, err = t.Plan(job); err != nil {
			return nil, nil, err
		}
	}
	for _, c := range plan.Commands {
		if o.Command != nil {
			o.Command(c)
		}
		if err := c.Run(ctx, dir, o.Out, o.Err); err != nil {
			return nil, nil, err
		}
	}
	info, err := os.Stat(plan.Output)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the command left no %s", plan.Output)
		if len(p.Build.Command) > 0 {
			err = fmt.Errorf("%w: it is to write the file that ASHLAR_OUTPUT in its environment names, or build.output in %s", err, project.File)
		}
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is no file", plan.Output)
	}
	if info.Size() > maxModule {
		return nil, nil, fmt.Errorf("%s has %d bytes, at most %d are allowed", plan.Output, info.Size(), maxModule)
	}
	made, err := os.ReadFile(plan.Output)
	return made, plan.Commands, err
}

// exportsInterface reports whether the world exports an interface, in any version.
func exportsInterface(w *wit.World, name string) bool {
	return slices.ContainsFunc(w.Exports, func(i *wit.WorldItem) bool { return isInterface(i, name) })
}

func isInterface(i *wit.WorldItem, name string) bool {
	if i.Interface == nil {
		return false
	}
	id, _, _ := strings.Cut(i.Interface.ID(), "@")
	return id == name
}

// finish makes the component of what the toolchain made.
func finish(p *project.Project, world *wit.World, made []byte) ([]byte, error) {
	var component []byte
	switch binary.KindOf(made) {
	case binary.KindComponent:
		c, err := binary.Decode(made)
		if err == nil {
			err = binary.Validate(c)
		}
		if err != nil {
			return nil, fmt.Errorf("the command made a component that is not valid: %w", err)
		}
		component = made
	case binary.KindModule:
		var err error
		if component, err = componentOf(p, world, made); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("what the command made is neither a core module nor a component")
	}
	component, err := metadata.Write(component, metadata.Metadata{
		Name: p.Name, Version: p.Version, Description: p.Metadata.Description, Authors: strings.Join(p.Metadata.Authors, ", "),
		Licenses: p.Metadata.Licenses, Source: p.Metadata.Source, Homepage: p.Metadata.Homepage, Revision: p.Metadata.Revision,
	})
	if err != nil {
		return nil, err
	}
	if p.Initialize != "" {
		if component, err = metadata.SetSection(component, binary.InitializeSection, []byte(p.Initialize)); err != nil {
			return nil, err
		}
	}
	if componentize.Targets(component, world) == nil {
		if component, err = metadata.SetSection(component, binary.TargetSection, []byte(world.ID())); err != nil {
			return nil, err
		}
	}
	fits := *world
	if !p.Build.Proxy {
		runtime, err := runtimeWorld()
		if err != nil {
			return nil, err
		}
		for _, i := range runtime.Imports {
			if world.Import(i.Interface.ID()) == nil {
				fits.Imports = append(slices.Clip(fits.Imports), i)
			}
		}
	}
	if err := componentize.Targets(component, &fits); err != nil {
		return nil, err
	}
	return component, nil
}

// runtimeWorld is what programs may import beside what their own world says: the runtimes
// of languages do, and the guest packages of Go. What a program does not use is left out
// of the component.
func runtimeWorld() (*wit.World, error) {
	r, err := wit.ParseText("runtime.wit", `package ashlar:guest;
		world runtime {
			include wasi:cli/imports@0.2.0;
			import wasi:http/types@0.2.0;
			import wasi:http/outgoing-handler@0.2.0;
		}`, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		return nil, err
	}
	return r.Main.Worlds[0], nil
}

func componentOf(p *project.Project, world *wit.World, module []byte) ([]byte, error) {
	own := *world
	own.Exports = slices.DeleteFunc(slices.Clone(world.Exports), func(i *wit.WorldItem) bool { return isInterface(i, runInterface) })
	module, err := componentize.Embed(module, &own, componentize.EmbedOptions{})
	if err != nil {
		return nil, err
	}
	if p.Language == "go" && p.Initialize == binary.InitializeOnce {
		if module, err = reseedRand(module); err != nil {
			return nil, fmt.Errorf("initialize = %q: %w", p.Initialize, err)
		}
	}
	if p.Language == "go" || p.Language == "tinygo" {
		runtime, err := runtimeWorld()
		if err != nil {
			return nil, err
		}
		if module, err = componentize.Embed(module, runtime, componentize.EmbedOptions{}); err != nil {
			return nil, err
		}
	}
	wasi1, err := adapter.For(module, adapter.Options{Proxy: p.Build.Proxy})
	if err != nil {
		return nil, err
	}
	return componentize.New(module, componentize.Options{
		Adapters: []componentize.Adapter{{Name: adapter.Name, Module: wasi1}},
	})
}
