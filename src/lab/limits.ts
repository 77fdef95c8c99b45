/** No machine may have less memory. */
export const leastMemoryMiB = 64;
