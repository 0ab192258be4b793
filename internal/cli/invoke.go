package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/wave"
)

func newInvoke(s *streams) *cobra.Command {
	var g grants
	var l limits
	cmd := &cobra.Command{
		Use:   "invoke [flags] FILE CALL",
		Short: "Call an exported function of a component",
		Long: `Call an exported function of a component with arguments written in WAVE, and
print its result in WAVE on one line. What the guest prints goes to standard
error, so that nothing but the result is on standard output.

CALL names the function with the interface that exports it, if there is one:
'add(20, 22)' or 'ns:pkg/iface#add(1, {x: 2})'. The version of the interface
may be left out.

` + exitCodes,
		Example: `  ashlar invoke calc.wasm 'add(20, 22)'
  ashlar invoke calc.wasm 'docs:calc/ops@0.1.0#eval("1 + 1")'`,
		Args: exactArgs("FILE", "CALL"),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := l.read(c.Context(), s, args[0])
			if err != nil {
				return err
			}
			if err := f.wantComponent("invoke"); err != nil {
				return err
			}
			path, params, ok := splitCall(args[1])
			if !ok {
				return usageError("%q is no call: expected a function name and arguments in parentheses, like 'add(1, 2)'", args[1])
			}
			guest := &streams{in: s.in, out: s.err, err: s.err}
			return g.withSystem(guest, []string{f.path}, func(sys *system) error {
				return invoke(c, s, f, sys, &l, path, params)
			})
		},
	}
	g.flags(cmd)
	l.flags(cmd)
	return cmd
}

// splitCall cuts a call into the function's path and its arguments.
func splitCall(call string) (path, args string, ok bool) {
	call = strings.TrimSpace(call)
	i := strings.IndexByte(call, '(')
	if i <= 0 || !strings.HasSuffix(call, ")") {
		return "", "", false
	}
	return strings.TrimSpace(call[:i]), call[i:], true
}

func invoke(c *cobra.Command, s *streams, f *file, sys *system, l *limits, path, params string) error {
	return sys.instantiate(c.Context(), f, l, func(r *running) error {
		iface, name := "", path
		if i := strings.LastIndexByte(path, '#'); i >= 0 {
			iface, name = path[:i], path[i+1:]
		}
		fn, ok := find(r.component, r.instance, iface, name)
		if !ok {
			return withCode(exitUsage, fmt.Errorf("%s exports no function %q%s", f.path, path, exportsHint(r.component)))
		}
		args, err := wave.ParseArgs(params, fn.Type())
		if err != nil {
			return usageError("arguments of %s: %w\nIts type is %s", path, err, fn.Type())
		}
		result, err := fn.Call(r.ctx, args)
		if err != nil {
			return err
		}
		if result != nil {
			fmt.Fprintln(s.out, wave.Format(result))
		}
		return nil
	})
}

// find looks a function up, under the interface as given or one of that name
// with a version.
func find(c *component.Component, i *component.Instance, iface, name string) (*component.Func, bool) {
	if fn, ok := i.Func(iface, name); ok {
		return fn, true
	}
	if iface == "" || strings.Contains(iface, "@") {
		return nil, false
	}
	for _, e := range c.Exports() {
		if base, _, ok := strings.Cut(e.Interface, "@"); ok && base == iface && e.Name == name {
			return i.Func(e.Interface, name)
		}
	}
	return nil, false
}

// exportsHint lists the functions that there are.
func exportsHint(c *component.Component) string {
	var names []string
	for _, e := range c.Exports() {
		names = append(names, "\n  "+e.Path()+": "+e.Type.String())
	}
	if len(names) == 0 {
		return ": it exports no functions"
	}
	slices.Sort(names)
	if len(names) > 40 {
		names = append(names[:40], "\n  ...")
	}
	return "; it exports:" + strings.Join(names, "")
}
