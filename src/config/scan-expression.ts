/** The parts of an RE2 expression, as far as `lint` needs to know them. */
export interface ExpressionParts {
  /** A `|` outside every group. */
  readonly alternation: boolean
  /** Anything but literal characters. */
  readonly operators: boolean
  /** A `.` without a repetition after it. */
  readonly anyCharacter: boolean
  /** The literal characters alone, unescaped. */
  readonly literal: string
}

/** Reads a valid RE2 expression, without its leading `^`. */
export const scanExpression = (expression: string): ExpressionParts => {
  let depth = 0
  let inClass = false
  let alternation = false
  let operators = false
  let anyCharacter = false
  let literal = ''
  for (let i = 0; i < expression.length; i++) {
    const character = expression[i] ?? ''
    const next = expression[i + 1] ?? ''
    if (character === '\\') {
      if (/\w/.test(next))
        operators = true // \d, \pL, \Q…\E
      else if (!inClass) literal += next
      i++
    } else if (inClass) {
      inClass = character !== ']'
    } else if ('[](){}|.*+?^$'.includes(character)) {
      operators = true
      if (character === '[') {
        inClass = true
        if (next === '^') i++
        if (expression[i + 1] === ']') i++ // a "]" at the start of a class is one of its characters
      } else if (character === '(') depth++
      else if (character === ')') depth--
      else if (character === '|' && depth === 0) alternation = true
      else if (character === '.' && !'*+?{'.includes(next || '|')) anyCharacter = true
    } else literal += character
  }
  return { alternation, operators, anyCharacter, literal }
}
