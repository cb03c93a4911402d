/** A verb of the command `blockhost`. */
export interface Command {
    /** One line: verb, arguments and options. */
    readonly usage: string;
    readonly about: string;
    /** @returns the exit status */
    run(args: readonly string[]): Promise<number>;
}
