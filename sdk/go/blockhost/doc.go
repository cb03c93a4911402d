// Block storage on Linux hosts that you already have: volumes, snapshots and exports over SSH.
package blockhost
