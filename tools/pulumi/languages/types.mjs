// @ts-check
/**
 * What the engine says of a program to be run.
 *
 * @typedef {object} Program
 * @property {string} directory the program's folder
 * @property {string} entry
 * @property {string} root the project's folder
 * @property {Record<string, any>} options of `runtime` in Pulumi.yaml
 * @property {string} engine address
 * @property {string} monitor address
 * @property {string} project
 * @property {string} stack
 * @property {string} organization
 * @property {string} pwd
 * @property {boolean} dryRun
 * @property {number} parallel
 * @property {string[]} args
 */

/** @typedef {{ command: string, args: string[], env: Record<string, string> }} Start */

export {};
