package wit

// The syntax tree of one source file. Names are not resolved yet.

type ident struct {
	name string
	span span
}

// docs are the comments before an item, as they stand in the source.
type docs struct {
	comments []string
	span     span
}

type packageHeader struct {
	name PackageName
	docs docs
	span span
}

// file is one source file, or one nested package.
type file struct {
	header *packageHeader
	decls  []decl
	nested []*file
}

// decl is a top-level declaration: one of its fields is set.
type decl struct {
	iface *ifaceDecl
	world *worldDecl
	use   *topUse
}

type topUse struct {
	attrs []attr
	path  itemPath
	as    *ident
	span  span
}

// itemPath names an interface or world: in the same package if pkg is nil.
type itemPath struct {
	pkg     *PackageName
	pkgSpan span
	name    ident
}

type ifaceDecl struct {
	docs  docs
	attrs []attr
	name  ident
	items []item
}

type worldDecl struct {
	docs  docs
	attrs []attr
	name  ident
	items []item
}

// item is what stands in an interface or world: one of use, typ, fn, include
// and extern is set.
type item struct {
	use     *useDecl
	typ     *typeDecl
	fn      *funcDecl
	include *includeDecl
	extern  *externDecl
}

type useDecl struct {
	attrs []attr
	from  itemPath
	names []rename
}

type includeDecl struct {
	attrs []attr
	from  itemPath
	names []rename
}

// rename is `name as as`, or just `name`.
type rename struct {
	name ident
	as   *ident
}

func (r rename) local() ident {
	if r.as != nil {
		return *r.as
	}
	return r.name
}

// externDecl is an import or export of a world: a function, an inline
// interface (inline is set) or a path, the latter with an optional name.
type externDecl struct {
	docs   docs
	attrs  []attr
	export bool
	name   *ident
	fn     *funcDecl
	inline bool
	items  []item
	path   *itemPath
}

func (e *externDecl) span() span {
	if e.name != nil {
		return e.name.span
	}
	return e.path.name.span
}

type funcDecl struct {
	docs   docs
	attrs  []attr
	name   ident
	kind   FunctionKind
	async  bool
	params []paramDecl
	result *typeExpr
	span   span
}

type paramDecl struct {
	name ident
	typ  *typeExpr
}

type typeDecl struct {
	docs  docs
	attrs []attr
	name  ident
	expr  *typeExpr
}

type typeOp uint8

const (
	opPrim typeOp = iota
	opName
	opOwn
	opBorrow
	opList
	opFixedList
	opMap
	opOption
	opResult
	opTuple
	opFuture
	opStream
	// The following stand only in type declarations.
	opRecord
	opVariant
	opEnum
	opFlags
	opResource
)

type typeExpr struct {
	op      typeOp
	span    span
	prim    Prim
	name    ident       // of opName, opOwn, opBorrow
	args    []*typeExpr // of the parameterised types; nil where there is no type
	len     uint32      // of opFixedList
	members []member    // of records, variants, enums and flags
	funcs   []*funcDecl // of resources
}

type member struct {
	docs docs
	name ident
	typ  *typeExpr
}

type attrKind uint8

const (
	attrSince attrKind = iota
	attrUnstable
	attrDeprecated
	attrExternalID
)

type attr struct {
	kind  attrKind
	value string
	span  span
}

// eachPath calls f for every path to an interface or world in the file. In a
// world, imports come before exports. The owner is the interface or world that
// can't be resolved before the target is: it is empty for a world's imports,
// exports and uses.
func (fl *file) eachPath(f func(owner string, p *itemPath) error) error {
	uses := func(owner string, items []item) error {
		for _, it := range items {
			if it.use != nil {
				if err := f(owner, &it.use.from); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, d := range fl.decls {
		switch {
		case d.use != nil:
			if err := f("", &d.use.path); err != nil {
				return err
			}
		case d.iface != nil:
			if err := uses(d.iface.name.name, d.iface.items); err != nil {
				return err
			}
		case d.world != nil:
			for _, it := range d.world.items {
				var err error
				switch {
				case it.use != nil:
					err = f("", &it.use.from)
				case it.include != nil:
					err = f(d.world.name.name, &it.include.from)
				}
				if err != nil {
					return err
				}
			}
			for _, export := range []bool{false, true} {
				for _, it := range d.world.items {
					if it.extern == nil || it.extern.export != export {
						continue
					}
					var err error
					if it.extern.path != nil {
						err = f("", it.extern.path)
					} else {
						err = uses("", it.extern.items)
					}
					if err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}
