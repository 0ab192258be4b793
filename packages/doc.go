// Package packages names, versions, finds and locks packages: WIT packages and
// components, as registries hold them. The names and file formats are those of
// bytecodealliance/wasm-pkg-tools (the command wkg), so that projects and
// registries are shared with it.
//
//   - [Ref], [Spec], [Version] and [Requirement] are what packages are named by.
//   - [Config] is the file config.toml, which says in which registry a package is,
//     and [Metadata] is what a registry says of itself.
//   - [Client] finds packages through these. A registry is a [Source]: a folder
//     ([Local]), or an OCI registry (package packages/remote).
//   - [Manifest] is the file wkg.toml, which may describe a [Workspace]; [WkgLock] is
//     wkg.lock and [Lock] ashlar.lock.
//   - [Resolver] chooses versions, from locks first; [Fetch] does so for the
//     packages that a folder of WIT uses. [Vendor] keeps their contents.
//   - [Publication] is a version that is to be published, compared with the one before;
//     [Yank] is a signed record that a version is not to be chosen, which registries
//     keep that are [Attester]s.
//
// Nothing here logs or keeps global state. Everything that is read from a file or
// a registry is bounded in size.
package packages
