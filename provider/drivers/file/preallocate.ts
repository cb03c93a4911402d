import { type Sh, sh } from "../../sh";

/** Takes space for every byte of a file that has none yet; keeps what is written, and never makes it shorter. */
export function preallocate(file: string, sizeBytes: number): Sh {
    return sh`fallocate -l ${sizeBytes} -- ${file} || {
    echo "a thick pool needs a file system that can preallocate (ext4, XFS, btrfs, tmpfs) and the space" >&2
    exit 1
}`;
}
