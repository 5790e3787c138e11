/** Reed–Solomon codes over GF(2⁸) with the polynomial 0x11D, as ISO/IEC 18004 §7.5.2 has them. */

function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d)
    product ^= ((b >>> bit) & 1) * a
  }
  return product
}

/** Coefficients of (x − 2⁰)(x − 2¹)…, the highest power first, which is 1 and left out. */
function generator(degree: number): readonly number[] {
  const result = [...new Array<number>(degree - 1).fill(0), 1]
  let root = 1
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) result[j] = multiply(result[j]!, root) ^ (result[j + 1] ?? 0)
    root = multiply(root, 2)
  }
  return result
}

/** The codewords that correct a block. @param count  how many of them */
export function correctionOf(block: readonly number[], count: number): readonly number[] {
  const divisor = generator(count)
  const rest = new Array<number>(count).fill(0)
  for (const byte of block) {
    const factor = byte ^ rest.shift()!
    rest.push(0)
    for (const [i, coefficient] of divisor.entries()) rest[i]! ^= multiply(coefficient, factor)
  }
  return rest
}
