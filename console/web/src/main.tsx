import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import './fonts.css'
import './tokens.css'

import { createRoot } from 'react-dom/client'

import { App } from './app/App'
import { createQueryClient } from './app/queryClient'
import { createAppRouter } from './app/router'
import { firstLanguage, startI18n } from './i18n'

startI18n(firstLanguage())

const queryClient = createQueryClient()
const router = createAppRouter(queryClient)
const root = document.getElementById('root')
if (root) createRoot(root).render(<App queryClient={queryClient} router={router} />)
