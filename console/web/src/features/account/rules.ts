// What the server asks of the first account, so that the form can say it before it is sent.

export const PASSWORD_LEN_MIN = 10
export const PASSWORD_LEN_MAX = 256

export function isName(name: string): boolean {
  return /^[A-Za-z0-9._@-]{1,64}$/.test(name)
}

export interface PasswordRules {
  length: boolean
  same: boolean
  notName: boolean
}

export function passwordRules(name: string, password: string, again: string): PasswordRules {
  const length = [...password].length
  return {
    length: length >= PASSWORD_LEN_MIN && length <= PASSWORD_LEN_MAX,
    same: password !== '' && password === again,
    notName: password !== '' && password.toLowerCase() !== name.trim().toLowerCase(),
  }
}
