// Languages of the page. Texts that the server words itself (errors) arrive in the reader's language already.

import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'

import { en } from './en'
import { vi } from './vi'

export const LANGUAGES = ['vi', 'en'] as const
export type Language = (typeof LANGUAGES)[number]

/** Each language by its own name. */
export const LANGUAGE_NAMES: Record<Language, string> = { vi: 'Tiếng Việt', en: 'English' }

const STORED = 'canh.language'

export function isLanguage(text: unknown): text is Language {
  return text === 'vi' || text === 'en'
}

/** What the reader chose on this device, else what the browser asks for. */
export function firstLanguage(): Language {
  const stored = localStorage.getItem(STORED)
  if (isLanguage(stored)) return stored
  return navigator.language.toLowerCase().startsWith('en') ? 'en' : 'vi'
}

export function currentLanguage(): Language {
  return isLanguage(i18next.language) ? i18next.language : 'vi'
}

export function setLanguage(language: Language): void {
  localStorage.setItem(STORED, language)
  document.documentElement.lang = language
  void i18next.changeLanguage(language)
}

export function startI18n(language: Language): void {
  document.documentElement.lang = language
  void i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, vi: { translation: vi } },
    lng: language,
    fallbackLng: false,
    // React escapes; escaping twice would show `&amp;`.
    interpolation: { escapeValue: false },
    initAsync: false,
    returnNull: false,
  })
}
