/**
 * Inputs with what `ignoreChanges` names left as it is. Pulumi puts old inputs in place of ignored ones by itself; what
 * the host has made of them since, only we know: an ignored size is the size that the volume has now.
 *
 * @param ignored property paths; only whole inputs count here
 */
export function ignoring<Args extends Record<string, unknown>>(
    news: Args,
    olds: Readonly<Record<string, unknown>>,
    ignored: readonly string[],
): Args {
    const kept = new Map<string, unknown>(Object.entries(news));
    for (const property of ignored) {
        const now = property === "size" ? (olds["sizeBytes"] ?? olds["size"]) : olds[property];
        if (now === undefined) kept.delete(property);
        else kept.set(property, now);
    }
    return Object.fromEntries(kept) as Args;
}
