// Package oci speaks the CNCF Wasm OCI artifact: core modules and components as
// they are kept in OCI registries and in OCI layouts on disk.
//
// [New] makes an [Artifact] of a module or component, and [Client] pushes, pulls,
// copies and describes artifacts. What is pulled can be kept by a cache
// (package oci/cache). Everything that comes from a registry or a disk is bounded
// and checked against its digest before anybody sees it.
//
// The layout of the artifact is that of the "Wasm OCI Artifact" of the CNCF's
// working group for Wasm; manifests and layouts are those of the OCI image
// specification 1.1, and registries are spoken to as the OCI distribution
// specification 1.1 says.
package oci
